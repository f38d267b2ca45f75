"""Convolutional encoders and decoders, for images of any size; fully connected ones for points."""

import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image
from genzoo.nets.mlp import MLP, FourierFeatures
from genzoo.nets.norm import Normalise


def halvings(height: int, width: int, smallest: int = 4) -> list[tuple[int, int]]:
    """The sizes below the image's own down to at most ``smallest`` pixels a side, halved and rounded up each time."""
    sizes = [(-(-height // 2), -(-width // 2))]
    while max(sizes[-1]) > smallest:
        h, w = sizes[-1]
        sizes.append((-(-h // 2), -(-w // 2)))
    return sizes


def _channels(width: int, stages: int) -> list[int]:
    return [width * 2 ** min(i, 2) for i in range(stages)]


class ConvEncoder(nn.Module):
    """Images [n, *shape] to vectors [n, out].

    A stem that halves the image at once (full resolution costs most and tells least), then stages that halve it again
    and double the channels, two convolutions each.
    """

    def __init__(self, shape: tuple[int, ...], out: int, width: int) -> None:
        super().__init__()
        sizes = halvings(*shape[1:])
        channels = _channels(width, len(sizes))
        layers: list[nn.Module] = [
            nn.ReplicationPad2d((0, shape[2] % 2, 0, shape[1] % 2)),
            nn.Conv2d(shape[0], width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
        ]
        for fan_in, fan_out in itertools.pairwise(channels):
            layers += [nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1), nn.SiLU()]
            layers += [nn.Conv2d(fan_out, fan_out, 3, padding=1), nn.SiLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * math.prod(sizes[-1]), out)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).flatten(1))


class ConvDecoder(nn.Module):
    """Vectors [n, fan_in] to images [n, *shape]: the encoder's stages backwards, normalised before each convolution.

    The last layer makes 2x2 pixels out of each position.
    """

    def __init__(self, fan_in: int, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.shape = shape
        self.sizes = halvings(*shape[1:])[::-1]
        channels = _channels(width, len(self.sizes))[::-1]
        self.first = (channels[0], *self.sizes[0])
        self.stem = nn.Linear(fan_in, math.prod(self.first))
        self.stages = nn.ModuleList(
            nn.Sequential(*_block(a, b), *_block(b, b)) for a, b in itertools.pairwise(channels)
        )
        last = channels[-1]
        self.head = nn.Sequential(
            *_block(last, last), *_norm(), nn.Conv2d(last, 4 * shape[0], 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).unflatten(1, self.first)
        for size, stage in zip(self.sizes[1:], self.stages, strict=True):
            h = stage(F.interpolate(h, size=size, mode="nearest"))
        return self.head(h)[:, :, : self.shape[1], : self.shape[2]]


def _norm() -> list[nn.Module]:
    return [Normalise(), nn.SiLU()]


def _block(fan_in: int, fan_out: int) -> list[nn.Module]:
    return [*_norm(), nn.Conv2d(fan_in, fan_out, 3, padding=1)]


def encoder(shape: tuple[int, ...], out: int, width: int) -> nn.Module:
    """Data [n, *shape] to [n, out]: convolutional for images; for points three hidden layers that see waves of them."""
    if is_image(shape):
        return ConvEncoder(shape, out, width)
    waves = FourierFeatures(shape[0], bandwidth=2.0)
    return nn.Sequential(waves, MLP([waves.out, width, width, width, out]))


def decoder(fan_in: int, shape: tuple[int, ...], width: int) -> nn.Module:
    """[n, fan_in] to data [n, *shape]: convolutional for images; for points three hidden layers that see waves of z."""
    if is_image(shape):
        return ConvDecoder(fan_in, shape, width)
    waves = FourierFeatures(fan_in, bandwidth=1.0)
    return nn.Sequential(waves, MLP([waves.out, width, width, width, shape[0]]))
