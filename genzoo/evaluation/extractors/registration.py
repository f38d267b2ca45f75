"""The built-in extractors in torch-fidelity's registry, so that its own pipeline computes the same numbers."""

from typing import Any

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from genzoo.evaluation.extractors.built_in import Features
from genzoo.evaluation.networks import BUILT_IN


class _InTorchFidelity(FeatureExtractorBase):
    """A built-in extractor as torch-fidelity calls one; its keywords are for other extractors."""

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        self.network = Features(name)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The features, once for each name that was asked for (there is one)."""
        return (self.network.features(images),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("features",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "features"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> Tensor:
        return torch.zeros(1, 1, 28, 28, dtype=torch.uint8)


def register_with_torch_fidelity() -> None:
    """Make the built-in extractors known to torch-fidelity under their names; calling it again changes nothing."""
    for name in BUILT_IN:
        if name not in FEATURE_EXTRACTORS_REGISTRY:
            register_feature_extractor(name, _InTorchFidelity)
