"""The networks behind the built-in feature extractors: two small classifiers and two of fixed random convolutions.

Each maps uint8 images [n, c, h, w] to features [n, d] without resizing. The features of a classifier stand before the
last non-linearity, where they are closest to normal: a rectified feature is half zeros, which no Gaussian fits.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _stage(num_in: int, num_out: int) -> nn.Sequential:
    """Two convolutions with batch normalisation, then half the size."""
    layers: list[nn.Module] = []
    for channels in (num_in, num_out):
        layers += [nn.Conv2d(channels, num_out, 3, padding=1, bias=False), nn.BatchNorm2d(num_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


class Classifier(nn.Module):
    """A convolutional classifier of square grey images into ten classes, read off at its ``num_features``."""

    max_channels = 1

    def __init__(self, size: int, widths: Sequence[int], num_features: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*[_stage(num_in, num_out) for num_in, num_out in pairwise((1, *widths))])
        self.embed = nn.Linear(widths[-1] * (size // 2 ** len(widths)) ** 2, num_features)
        self.head = nn.Linear(num_features, 10)
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("scale", torch.ones(1))

    mean: Tensor
    scale: Tensor

    def features(self, images: Tensor) -> Tensor:
        """[n, num_features] of uint8 [n, 1, size, size]; centred, and of unit mean variance, on the training split."""
        return (self._embed(images) - self.mean) / self.scale

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n, 10]."""
        return self.head(F.relu(self._embed(images)))

    def logits(self, features: Tensor) -> Tensor:
        """[n, 10] of :meth:`features`, whose standardisation is undone."""
        return self.head(F.relu(features * self.scale + self.mean))

    def _embed(self, images: Tensor) -> Tensor:
        return self.embed(self.trunk(images.float() / 127.5 - 1).flatten(1))

    @torch.no_grad()
    def standardise(self, images: Tensor) -> None:
        """Centre and scale the features (by one number, so that their geometry stays) on these images."""
        embedded = torch.cat([self._embed(part) for part in images.split(500)]).double()
        self.mean.copy_(embedded.mean(0))
        self.scale.copy_(embedded.var(0).mean().sqrt())


class RandomConvolutions(nn.Module):
    """Three random convolutions averaged over the quarters of the image: 64 features of images of any size.

    An image of fewer than ``max_channels`` c meets the first c input channels of the first filters, scaled to keep the
    variance.
    """

    def __init__(self, max_channels: int) -> None:
        super().__init__()
        self.max_channels = max_channels
        self.first = nn.Conv2d(max_channels, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 64, 3, padding=1)
        self.third = nn.Conv2d(64, 16, 3, padding=1)

    def features(self, images: Tensor) -> Tensor:
        """[n, 64] of uint8 [n, c, h, w]."""
        num_channels = images.shape[1]
        weight = (self.max_channels / num_channels) ** 0.5 * self.first.weight[:, :num_channels]
        x = F.conv2d(images.float() / 127.5 - 1, weight, self.first.bias, padding=1)
        x = F.avg_pool2d(F.relu(x), 2, ceil_mode=True)
        x = F.avg_pool2d(F.relu(self.second(x)), 2, ceil_mode=True)
        return F.adaptive_avg_pool2d(self.third(x), 2).flatten(1)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the filters (He et al., "Delving Deep into Rectifiers", 2015).

        The last ones are five times as large, so that the features of ordinary images have variances of order 1.
        """
        for layer, gain in ((self.first, 1), (self.second, 1), (self.third, 5)):
            fan_in = layer.weight[0].numel()
            layer.weight.normal_(0, gain * (2 / fan_in) ** 0.5, generator=generator)
            layer.bias.data.normal_(0, 0.1, generator=generator)  # type: ignore[union-attr]

    @torch.no_grad()
    def standardise(self, images: Tensor) -> None:
        """Whiten the last filters, so that brightness does not drown the rest: mean 0, mean variance 1 on these images.

        The filters are mixed by s U diag(e + 0.1 mean(e))^(-1/2) U', where U diag(e) U' is the covariance of their
        averages over quarters: the tenth keeps what is small from being all noise.
        """
        features = torch.cat([self.features(part) for part in images.split(500)]).double()
        quarters = features.unflatten(1, (self.third.out_channels, -1)).transpose(1, 2)
        mean = quarters.mean((0, 1))
        values, vectors = torch.linalg.eigh(torch.cov(quarters.flatten(0, 1).T))
        mixing = (vectors * (values + 0.1 * values.mean()).rsqrt()) @ vectors.T
        mixing /= ((quarters - mean) @ mixing).var(0).mean().sqrt()
        self._mix(mixing, mean)

    def _mix(self, mixing: Tensor, mean: Tensor) -> None:
        """Make the last filters f those of mixing (f - mean)."""
        weight, bias = self.third.weight.double(), self.third.bias.double()  # type: ignore[union-attr]
        self.third.weight.copy_(torch.einsum("ij,jkhw->ikhw", mixing, weight))
        self.third.bias.copy_(mixing @ (bias - mean))  # type: ignore[union-attr]


BUILT_IN: dict[str, Callable[[], Classifier | RandomConvolutions]] = {
    "cnn8": lambda: Classifier(8, (32, 64), 16),
    "cnn28": lambda: Classifier(28, (16, 48, 96), 64),
    "rand28": lambda: RandomConvolutions(4),
    "rand32": lambda: RandomConvolutions(3),
}
