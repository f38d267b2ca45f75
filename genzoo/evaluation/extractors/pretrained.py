"""The pretrained extractors of torch-fidelity, its networks and its resizing with weights that this package checks.

Every file has a published sha256, which is compared before anything in the file is interpreted. Files of tensors are
loaded with ``weights_only=True``. CLIP's are TorchScript archives, which can hold programs: the hash that its authors
publish vouches for them, nothing but their tensors is used, and a file with another hash is never opened.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import torch
import torchvision
from torch import Tensor, nn
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity import feature_extractor_vgg16 as vgg
from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS, FeatureExtractorCLIP
from torch_fidelity.feature_extractor_dinov2 import FeatureExtractorDinoV2

from genzoo.errors import InvalidSamples
from genzoo.evaluation.extractors.built_in import Shape
from genzoo.evaluation.extractors.vision_transformer import VisionTransformer
from genzoo.evaluation.extractors.weights import WeightsFile

INCEPTION = "inception-v3-compat"
_DINOV2 = "https://dl.fbaipublicfiles.com/dinov2"


def _clip(name: str) -> WeightsFile:
    sha256 = MODEL_METADATA[name]["hash"]
    return WeightsFile(name, f"{name}-{sha256}.pt", MODEL_URLS[name], sha256)  # the name torch-fidelity gives it


def _dinov2(name: str, model: str, sha256: str) -> WeightsFile:
    return WeightsFile(name, f"{model}_pretrain.pth", f"{_DINOV2}/{model}/{model}_pretrain.pth", sha256)


FILES = {
    file.extractor: file
    for file in (
        WeightsFile(
            INCEPTION,
            "weights-inception-2015-12-05-6726825d.pth",
            inception.URL_INCEPTION_V3,
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ),
        WeightsFile(
            "vgg16",
            "vgg16-397923af.pth",
            "https://download.pytorch.org/models/vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        *map(_clip, ("clip-vit-b-32", "clip-vit-b-16", "clip-vit-l-14", "clip-vit-l-14-336px")),
        _dinov2("dinov2-vit-s-14", "dinov2_vits14", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
        _dinov2("dinov2-vit-b-14", "dinov2_vitb14", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
        _dinov2("dinov2-vit-l-14", "dinov2_vitl14", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    )
}


class Pretrained(nn.Module):
    """A network of torch-fidelity as an extractor; grey images are repeated to three channels.

    Each resizes by itself, bilinearly and without antialiasing as TensorFlow 1 did
    (``interpolate_bilinear_2d_like_tensorflow1x``), so that its pipeline and this package give the same features.
    """

    batch_size = 32

    def __init__(self, file: WeightsFile, network: nn.Module) -> None:
        super().__init__()
        self.name, self.sha256, self.net = file.extractor, file.sha256, network

    def check_shape(self, shape: Shape) -> None:
        """Raise :class:`InvalidSamples` unless it takes images of (channels, height, width)."""
        if shape[0] not in (1, 3):
            raise InvalidSamples(f"{self.name} takes images of (1, 3) channels, these have {shape[0]}")

    def features(self, images: Tensor) -> Tensor:
        """[n, d] float32 of uint8 [n, c, h, w]."""
        return self.net(images.expand(-1, 3, -1, -1))[0]


class Inception(Pretrained):
    """Inception, whose features its last layer turns into classes."""

    net: inception.FeatureExtractorInceptionV3

    def logits(self, features: Tensor) -> Tensor:
        """[n, 1008] of features [n, 2048]."""
        return self.net.fc(features)


def _tensors(file: WeightsFile, weights: Path | None) -> Mapping[str, Tensor]:
    return torch.load(file.find(weights), map_location="cpu", weights_only=True)


def load_inception(weights: Path | None) -> Inception:
    """The network behind the literature's FID. ``weights``, and what it raises, as in :meth:`WeightsFile.find`."""
    file = FILES[INCEPTION]
    state = _tensors(file, weights)
    # torch-fidelity would unpickle a file: it is given the tensors in place of its download
    with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: state):
        return Inception(file, inception.FeatureExtractorInceptionV3(INCEPTION, ["2048"]))


def load_vgg16(weights: Path | None) -> Pretrained:
    """VGG16. Raises as :func:`load_inception`."""
    file = FILES["vgg16"]
    state = _tensors(file, weights)
    with torch.device("meta"):
        network = torchvision.models.vgg16()
    network.load_state_dict(state, assign=True)
    with patch.object(vgg, "torchvision_load_pretrained_vgg16", lambda **_: network):
        return Pretrained(file, vgg.FeatureExtractorVGG16("vgg16", ["fc2_relu"]))


def load_clip(name: str, weights: Path | None) -> Pretrained:
    """The picture half of a CLIP. Raises as :func:`load_inception`."""
    path = FILES[name].find(weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch advises against TorchScript, in which these files are published
        return Pretrained(FILES[name], FeatureExtractorCLIP(name, ["clip"], feature_extractor_weights_path=str(path)))


def load_dinov2(name: str, weights: Path | None) -> Pretrained:
    """A DINOv2; the network is this package's. Raises as :func:`load_inception`."""
    network = VisionTransformer.of(_tensors(FILES[name], weights))
    # torch-fidelity would run whatever program the network's repository holds today
    with patch.object(torch.hub, "load", lambda *_: network), patch.dict(os.environ):
        return Pretrained(FILES[name], FeatureExtractorDinoV2(name, ["dinov2"]))
