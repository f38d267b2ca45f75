"""Feature extractors by name: three built in, whose weights ship with the package, and torch-fidelity's Inception.

The built-in ones are registered with torch-fidelity too, so that its own pipeline computes the same numbers.
"""

import hashlib
import os
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from genzoo.errors import ExtractorUnavailable, InvalidSamples, UnknownName
from genzoo.evaluation.networks import BUILT_IN, MAX_CHANNELS, Classifier, RandomConvolutions
from genzoo.files import write_atomically

INCEPTION = "inception-v3-compat"
INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SECONDS_TO_CONNECT = 2
WEIGHTS = Path(__file__).parent / "weights"
SIZES = {"cnn8": (1, 8, 8), "cnn28": (1, 28, 28)}
NAMES = (*BUILT_IN, INCEPTION)
Shape = tuple[int, int, int]


class Features(nn.Module):
    """A built-in network as a map from uint8 [n, c, h, w] to features [n, d]."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.net: Classifier | RandomConvolutions = BUILT_IN[name]()
        self.net.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """[n, d] float32."""
        return self.net.features(images)


class InceptionFeatures(nn.Module):
    """The 2048 pooled features of the literature's FID; grey images are repeated to three channels."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = torch.load(weights, map_location="cpu", weights_only=True)
        # torch-fidelity would unpickle a file: it is given the tensors in place of its download
        with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: state):
            self.net = inception.FeatureExtractorInceptionV3(INCEPTION, ["2048"])

    def forward(self, images: Tensor) -> Tensor:
        """[n, 2048] float32."""
        return self.net(images.expand(-1, 3, -1, -1))[0]


@dataclass(frozen=True)
class Extractor:
    """A network with its name, the sha256 of its weights file, and how many images it is given at once."""

    name: str
    sha256: str
    network: nn.Module
    batch_size: int

    @property
    def literature_comparable(self) -> bool:
        """Whether numbers may stand beside published ones."""
        return self.name == INCEPTION

    @property
    def label(self) -> str:
        """What a distance of these features is called: ``FID``, or ``FD[cnn28@1a2b3c4d]``."""
        return "FID" if self.literature_comparable else f"FD[{self.name}@{self.sha256[:8]}]"

    def check_shape(self, shape: Shape) -> None:
        """Raise :class:`InvalidSamples` unless it takes images of (channels, height, width); none is resized."""
        size, num_channels = SIZES.get(self.name), shape[0]
        if size is not None and shape != size:
            raise InvalidSamples(
                f"{self.name} takes {_by(size)} images, these are {_by(shape)}: use {default_extractor(shape)}"
            )
        allowed = (1, 3) if self.literature_comparable else tuple(range(1, MAX_CHANNELS + 1))
        if num_channels not in allowed:
            raise InvalidSamples(f"{self.name} takes images of {allowed} channels, these have {num_channels}")


def _by(shape: Shape) -> str:
    return "x".join(map(str, shape))


def default_extractor(shape: tuple[int, ...]) -> str:
    """The built-in extractor for images of ``shape`` (channels, height, width)."""
    return next((name for name, size in SIZES.items() if size == shape), "rand28")


def load_extractor(name: str, *, weights: Path | None = None) -> Extractor:
    """The extractor called ``name``; ``weights`` is where Inception's file lies, if not in its usual place.

    Without it the file is looked for at ``$GENZOO_EXTRACTOR_WEIGHTS``, then where torch-fidelity keeps it.

    Raises:
        UnknownName: nothing is called so.
        ExtractorUnavailable: Inception's weights are not there and cannot be had, or are not the known file.
    """
    if name not in NAMES:
        raise UnknownName("extractor", name, NAMES)
    if name == INCEPTION:
        path = _inception_weights(weights)
        return Extractor(name, INCEPTION_SHA256, InceptionFeatures(path), batch_size=32)
    return Extractor(name, _sha256(WEIGHTS / f"{name}.safetensors"), Features(name), batch_size=250)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inception_weights(given: Path | None) -> Path:
    """The file that was given, or that the environment names, or that torch-fidelity keeps, or that is fetched now."""
    named = os.environ.get("GENZOO_EXTRACTOR_WEIGHTS")
    path = given or (Path(named) if named else None)
    if path is None:
        path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
        if not path.is_file():
            _download(inception.URL_INCEPTION_V3, path)
    if not path.is_file():
        raise _unavailable(f"{path} is not there")
    if _sha256(path) != INCEPTION_SHA256:
        raise _unavailable(f"{path} is another file (its sha256 is not {INCEPTION_SHA256[:8]}...)")
    return path


def _download(url: str, path: Path) -> None:
    """Fetch ``url``; the file appears under its name only when it is whole and has the right hash."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_TO_CONNECT) as answer:
            content = answer.read()
    except (OSError, HTTPException) as error:
        raise _unavailable(f"it is not at {path} and could not be fetched ({error})") from error
    if hashlib.sha256(content).hexdigest() != INCEPTION_SHA256:
        raise _unavailable(f"what came from there was another file; {path} was not written")
    write_atomically(path, content)


def _unavailable(why: str) -> ExtractorUnavailable:
    sizes = ", ".join(f"{name} ({_by(size)})" for name, size in SIZES.items())
    return ExtractorUnavailable(
        f"{INCEPTION} needs {INCEPTION_FILE}, and {why}: get it from {inception.URL_INCEPTION_V3} and pass "
        f"--extractor-weights PATH; --extractor {sizes} or rand28 (any size) works now"
    )


class _InTorchFidelity(FeatureExtractorBase):
    """A built-in extractor as torch-fidelity calls one; its keywords are for other extractors."""

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        self.network = Features(name)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The features, once for each name that was asked for (there is one)."""
        return (self.network(images),)

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
