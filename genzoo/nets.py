"""Backbones that every family shares: one controlled variable in a comparison of families.

``shape`` is (channels, height, width) for images of any size and (dimension,) for points; :func:`encoder` and
:func:`decoder` pick the convolutional or the fully connected net.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image

Wrap = Callable[[nn.Module], nn.Module]
"""A wrapper around every weighted layer: the identity, or spectral normalisation."""


Activation = Callable[[], nn.Module]
"""What makes the nonlinearity."""


def identity(layer: nn.Module) -> nn.Module:
    """The layer as it is."""
    return layer


class MLP(nn.Sequential):
    """Linear layers with a nonlinearity between them: ``MLP([2, 128, 128, 1])``."""

    def __init__(self, sizes: Sequence[int], wrap: Wrap = identity, activation: Activation = nn.SiLU) -> None:
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            layers += [activation()] if i else []
            layers += [wrap(nn.Linear(fan_in, fan_out))]
        super().__init__(*layers)


class FourierFeatures(nn.Module):
    """x [n, d] to [x, cos(Bx), sin(Bx)], [n, out], B fixed with entries from N(0, bandwidth^2).

    Without them a small net of coordinates learns nothing sharper than a fraction of the data's scale.

    Reference: Fourier Features Let Networks Learn High Frequency Functions (Tancik et al., 2020), equation 5.
    """

    frequencies: Tensor

    def __init__(self, dimension: int, num_frequencies: int = 32, bandwidth: float = 4.0) -> None:
        super().__init__()
        self.register_buffer("frequencies", bandwidth * torch.randn(dimension, num_frequencies))
        self.out = dimension + 2 * num_frequencies

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies
        return torch.cat([x, angles.cos(), angles.sin()], dim=1)


def sinusoids(t: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """The transformer's embedding of t [n]: cosines and sines at ``width / 2`` geometric frequencies, [n, width].

    Reference: Attention Is All You Need (Vaswani et al., 2017), section 3.5.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(longest) * torch.arange(half, device=t.device) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


class ResidualMLP(nn.Module):
    """A residual net for points, each block shifted by an embedding of t in [0, 1]: x [n, d], t [n] -> [n, d]."""

    def __init__(self, dimension: int, width: int, num_blocks: int) -> None:
        super().__init__()
        self.width = width
        self.embed_t = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        features = FourierFeatures(dimension)
        self.embed_x = nn.Sequential(features, nn.Linear(features.out, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(num_blocks)
        )
        self.out = nn.Linear(width, dimension)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        shift = self.embed_t(sinusoids(1000 * t, self.width))
        h = self.embed_x(x)
        for block in self.blocks:
            h = h + block(h + shift)
        return self.out(F.silu(h))


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

    def __init__(
        self, shape: tuple[int, ...], out: int, width: int, wrap: Wrap = identity, activation: Activation = nn.SiLU
    ) -> None:
        super().__init__()
        sizes = halvings(*shape[1:])
        channels = _channels(width, len(sizes))
        layers: list[nn.Module] = [
            nn.ReplicationPad2d((0, shape[2] % 2, 0, shape[1] % 2)),
            wrap(nn.Conv2d(shape[0], width, 4, stride=2, padding=1)),
            activation(),
            wrap(nn.Conv2d(width, width, 3, padding=1)),
            activation(),
        ]
        for fan_in, fan_out in itertools.pairwise(channels):
            layers += [wrap(nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1)), activation()]
            layers += [wrap(nn.Conv2d(fan_out, fan_out, 3, padding=1)), activation()]
        self.trunk = nn.Sequential(*layers)
        self.head = wrap(nn.Linear(channels[-1] * math.prod(sizes[-1]), out))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).flatten(1))


class ConvDecoder(nn.Module):
    """Vectors [n, fan_in] to images [n, *shape]: the encoder's stages backwards, group-normalised.

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
            *_block(last, last), *_norm(last), nn.Conv2d(last, 4 * shape[0], 3, padding=1), nn.PixelShuffle(2)
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.stem(z).unflatten(1, self.first)
        for size, stage in zip(self.sizes[1:], self.stages, strict=True):
            h = stage(F.interpolate(h, size=size, mode="nearest"))
        return self.head(h)[:, :, : self.shape[1], : self.shape[2]]


def _norm(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(math.gcd(8, channels), channels), nn.SiLU()]


def _block(fan_in: int, fan_out: int) -> list[nn.Module]:
    return [*_norm(fan_in), nn.Conv2d(fan_in, fan_out, 3, padding=1)]


def encoder(
    shape: tuple[int, ...], out: int, width: int, wrap: Wrap = identity, activation: Activation = nn.SiLU
) -> nn.Module:
    """Data [n, *shape] to [n, out]: convolutional for images, three hidden layers for points."""
    if is_image(shape):
        return ConvEncoder(shape, out, width, wrap, activation)
    return MLP([shape[0], width, width, width, out], wrap, activation)


def decoder(fan_in: int, shape: tuple[int, ...], width: int) -> nn.Module:
    """[n, fan_in] to data [n, *shape]: convolutional for images, three hidden layers for points."""
    if is_image(shape):
        return ConvDecoder(fan_in, shape, width)
    return MLP([fan_in, width, width, width, shape[0]])
