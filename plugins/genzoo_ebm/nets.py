"""Nets that see an example and answer with a few numbers: the trunk of an energy."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image
from genzoo.nets import MLP

SMALLEST = 4
LARGEST_UNPATCHED = 16
FREQUENCIES = 64


class Block(nn.Module):
    """h + conv(silu(conv(silu(h)))), without normalisation: what a mean over pixels subtracts is energy, too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)  # blocks add up: each starts as a small change

    def forward(self, h: Tensor) -> Tensor:
        return h + self.conv2(F.silu(self.conv1(F.silu(h))))


class ResidualTrunk(nn.Module):
    """Images [n, *shape] to [n, outputs]: patches of pixels, residual stages that halve the picture, a sum over it.

    Walks are most of the cost, and full resolution most of theirs: above 16 pixels a side the net sees squares of 4x4
    as one position, of whose pixels it still sees every one.
    Stages have w, 2w, 4w, 4w, ... channels, down to at most 4 positions a side; the first has two blocks.

    Reference: Implicit Generation and Modeling with Energy-Based Models (Du and Mordatch, 2019), appendix A.8.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        side = max(shape[1:])
        self.patch = 4 if side > LARGEST_UNPATCHED else 1
        num_stages = 1 + math.ceil(math.log2(max(1, side / self.patch / SMALLEST)))
        channels = [width * 2 ** min(i, 2) for i in range(num_stages)]
        layers: list[nn.Module] = [nn.Conv2d(shape[0] * self.patch**2, width, 3, padding=1)]
        for i, c in enumerate(channels):
            layers += [nn.Conv2d(channels[i - 1], c, 3, stride=2, padding=1)] if i else []
            layers += [Block(c)] if i else [Block(c), Block(c)]
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        x = F.pad(x, (0, -w % self.patch, 0, -h % self.patch), value=-1.0)
        summed = F.silu(self.stages(F.pixel_unshuffle(x, self.patch))).float().sum((2, 3))
        with torch.autocast(x.device.type, enabled=False):
            return self.head(summed)


class Waves(nn.Module):
    """x [n, d] to [x, a cos(Bx), a sin(Bx)], B fixed, of frequencies from 1 to ``highest``, geometrically spread.

    The amplitude a falls as the inverse of the frequency above 4: energies are smooth at first.

    Reference: Fourier Features Let Networks Learn High Frequency Functions (Tancik et al., 2020).
    """

    frequencies: Tensor
    amplitudes: Tensor

    def __init__(self, dimension: int, highest: float = 32.0) -> None:
        super().__init__()
        directions = F.normalize(torch.randn(dimension, FREQUENCIES), dim=0)
        sizes = torch.logspace(0, math.log10(highest), FREQUENCIES)
        self.register_buffer("frequencies", directions * sizes)
        self.register_buffer("amplitudes", (4 / sizes).clamp(max=1))
        self.out = dimension + 2 * FREQUENCIES

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies
        return torch.cat([x, self.amplitudes * angles.cos(), self.amplitudes * angles.sin()], dim=1)


def trunk(shape: tuple[int, ...], outputs: int, width: int | None = None) -> nn.Module:
    """Data [n, *shape] to [n, outputs]: residual and convolutional for images, waves and three layers for points."""
    if is_image(shape):
        return ResidualTrunk(shape, outputs, width or (64 if max(shape[1:]) <= LARGEST_UNPATCHED else 128))
    waves, width = Waves(shape[0]), width or 128
    return nn.Sequential(waves, MLP([waves.out, width, width, width, outputs]))
