"""The extractors whose weights ship with the package. None resizes what it is given."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from genzoo.errors import InvalidSamples
from genzoo.evaluation.extractors.weights import by, sha256_of
from genzoo.evaluation.networks import BUILT_IN, Classifier, RandomConvolutions

WEIGHTS = Path(__file__).parents[1] / "weights"
SIZES = {"cnn8": (1, 8, 8), "cnn28": (1, 28, 28), "rand32": (3, 32, 32)}
Shape = tuple[int, int, int]


def default_extractor(shape: tuple[int, ...]) -> str:
    """The built-in extractor for images of ``shape`` (channels, height, width)."""
    return next((name for name, size in SIZES.items() if size == shape), "rand28")


class Features(nn.Module):
    """A network of the package as an extractor."""

    batch_size = 250

    def __init__(self, name: str) -> None:
        super().__init__()
        path = WEIGHTS / f"{name}.safetensors"
        self.name, self.sha256 = name, sha256_of(path)
        self.net: Classifier | RandomConvolutions = BUILT_IN[name]()
        self.net.load_state_dict(load_file(path))
        self.eval().requires_grad_(False)

    def check_shape(self, shape: Shape) -> None:
        """Raise :class:`InvalidSamples` unless it takes images of (channels, height, width)."""
        size, allowed = SIZES.get(self.name), tuple(range(1, self.net.max_channels + 1))
        if size is not None and shape != size:
            raise InvalidSamples(
                f"{self.name} takes {by(size)} images, these are {by(shape)}: use {default_extractor(shape)}"
            )
        if shape[0] not in allowed:
            raise InvalidSamples(f"{self.name} takes images of {allowed} channels, these have {shape[0]}")

    def features(self, images: Tensor) -> Tensor:
        """[n, d] float32 of uint8 [n, c, h, w]."""
        return self.net.features(images)


class ClassifierFeatures(Features):
    """One that was trained to tell classes, and still can."""

    net: Classifier

    def logits(self, features: Tensor) -> Tensor:
        """[n, 10] of features [n, d]."""
        return self.net.logits(features)


def cnn8() -> ClassifierFeatures:
    """16 features of 1x8x8 images: a convolutional classifier of the digits' training split, before its last
    non-linearity; centred, and of unit mean variance, on that split. Few, because the digits' test split is small
    and the bias of a Fréchet distance grows with d^2 / N.
    """
    return ClassifierFeatures("cnn8")


def cnn28() -> ClassifierFeatures:
    """64 features of 1x28x28 images: a convolutional classifier of Fashion-MNIST's training split, before its last
    non-linearity; centred, and of unit mean variance, on that split.
    """
    return ClassifierFeatures("cnn28")


def rand28() -> Features:
    """64 features of images of any size and 1 to 4 channels: three fixed random convolutions, averaged over the
    quarters of the image.
    """
    return Features("rand28")


def rand32() -> Features:
    """64 features of 3x32x32 images: three fixed random convolutions, averaged over the quarters of the image;
    centred, and of unit mean variance, on random images with the spectrum of natural ones, 1 / f.
    """
    return Features("rand32")
