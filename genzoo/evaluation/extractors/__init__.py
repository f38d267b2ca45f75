"""Feature extractors by name: built in, pretrained, and those of plugins.

>>> from genzoo.evaluation.extractors import load_extractor
>>> load_extractor("rand28").label
'FD[rand28@...]'
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from genzoo import protocols
from genzoo.builtin import BUILT_IN
from genzoo.errors import InvalidOption
from genzoo.evaluation.extractors.built_in import SIZES, WEIGHTS, Shape, default_extractor
from genzoo.evaluation.extractors.pretrained import INCEPTION
from genzoo.evaluation.extractors.registration import register_with_torch_fidelity
from genzoo.zoo import Zoo

__all__ = [
    "INCEPTION",
    "SIZES",
    "WEIGHTS",
    "Extractor",
    "Network",
    "Shape",
    "default_extractor",
    "load_extractor",
    "register_with_torch_fidelity",
]


class Network(nn.Module):
    """An extractor as a network: calling it gives the features [n, d] of uint8 images [n, c, h, w]."""

    def __init__(self, source: protocols.Extractor) -> None:
        super().__init__()
        self.source = source

    def forward(self, images: Tensor) -> Tensor:
        """[n, d] float32."""
        return self.source.features(images)


@dataclass(frozen=True)
class Extractor:
    """A network with its name, the sha256 of its weights, and how many images it is given at once."""

    name: str
    sha256: str
    network: Network
    batch_size: int

    @property
    def literature_comparable(self) -> bool:
        """Whether numbers may stand beside published ones."""
        return self.name == INCEPTION

    @property
    def key(self) -> str:
        """sha256 of its name and its weights' hash: two may share a file of weights and make different features."""
        return hashlib.sha256(f"{self.name}@{self.sha256}".encode()).hexdigest()

    @property
    def label(self) -> str:
        """What a distance of these features is called: ``FID``, or ``FD[cnn28@1a2b3c4d]``."""
        return "FID" if self.literature_comparable else f"FD[{self.name}@{self.sha256[:8]}]"

    def check_shape(self, shape: Shape) -> None:
        """Raise :class:`InvalidSamples` unless it takes images of (channels, height, width)."""
        self.network.source.check_shape(shape)

    def logits(self, features: Tensor) -> Tensor | None:
        """The classes that it sees in features [n, d], [n, num_classes]; None where it is no classifier."""
        source = self.network.to(features.device).source
        if not hasattr(source, "logits"):
            return None
        with torch.no_grad():
            return source.logits(features)


def load_extractor(name: str, *, weights: Path | None = None, zoo: Zoo | None = None) -> Extractor:
    """The extractor called ``name``: one of GenZoo's own, else one of the ``zoo``'s (of all installed plugins).

    Args:
        weights: where the file of a pretrained extractor lies, or a folder that holds it, if not in its usual place;
            see :meth:`~genzoo.evaluation.extractors.weights.WeightsFile.find`.

    Raises:
        UnknownName: nothing is called so.
        ExtractorUnavailable: the weights are not there and cannot be had, or are not the known file.
        InvalidOption: ``weights`` of an extractor that takes none.
        PluginError: a plugin's extractor cannot be built.
    """
    zoo = Zoo() if name in BUILT_IN["extractor"] else zoo or Zoo.load()
    options = {} if weights is None else {"weights": weights}
    if options and "weights" not in {option.name for option in zoo.options("extractor", name)}:
        raise InvalidOption(f"extractor {name!r} takes no file of weights: leave out --extractor-weights {weights}")
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the training's random state
        source = zoo.extractor(name, options)
    return Extractor(name, source.sha256, Network(source), source.batch_size)
