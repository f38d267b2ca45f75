"""The two halves of a hierarchical variational autoencoder: up the resolutions, and down again with latents."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from genzoo.nets import ClassEmbedding


class Level(NamedTuple):
    """One resolution: its size, channels, number of blocks, and channels of the latent of each (0 for none)."""

    size: tuple[int, int]
    width: int
    depth: int
    latent: int


def normed(layer: nn.Module, gain: float = 1.0) -> nn.Module:
    """The layer with the weights of each output normalised to a learned length, sqrt(2) times ``gain`` at first.

    So no activation grows without bound, at the cost of a few weights where a normalisation of activations would cost
    more than the convolution. Reference: Weight Normalization (Salimans and Kingma, 2016).
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    layer = weight_norm(layer)
    nn.init.constant_(layer.parametrizations.weight.original0, math.sqrt(2) * gain)  # type: ignore[arg-type, union-attr]
    return layer


def _plain(fan_in: int, fan_out: int, size: tuple[int, int], kernel: int) -> nn.Conv2d:
    kernel = kernel if max(size) > 2 else 1
    return nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2)


def conv(fan_in: int, fan_out: int, size: tuple[int, int], kernel: int = 3, gain: float = 1.0) -> nn.Module:
    """A normalised convolution that keeps the size; of one or two pixels, without a neighbourhood."""
    return normed(_plain(fan_in, fan_out, size, kernel), gain)


def zero_conv(fan_in: int, fan_out: int, size: tuple[int, int], kernel: int = 3) -> nn.Conv2d:
    """A convolution that starts at zero, not normalised: at length zero a direction has no gradient."""
    layer = _plain(fan_in, fan_out, size, kernel)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


Layer = Callable[[int, int, tuple[int, int], int], nn.Module]
"""Makes a convolution of channels in and out, a size and a kernel."""


def branch(fan_in: int, fan_out: int, size: tuple[int, int], bottleneck: float | None, last: Layer) -> nn.Sequential:
    """silu, conv, silu, last; or, of a ``bottleneck``, four of which the middle two have so much fewer channels."""
    narrow = fan_in if bottleneck is None else max(1, round(bottleneck * fan_in))
    outer, middle = (3, 0) if bottleneck is None else (1, 2)
    layers = [nn.SiLU(), conv(fan_in, narrow, size, outer)]
    for _ in range(middle):
        layers += [nn.SiLU(), conv(narrow, narrow, size)]
    return nn.Sequential(*layers, nn.SiLU(), last(narrow, fan_out, size, outer))


class Residual(nn.Module):
    """h + branch(h)."""

    def __init__(self, level: Level, bottleneck: float | None, gain: float) -> None:
        super().__init__()
        self.branch = branch(level.width, level.width, level.size, bottleneck, partial(conv, gain=gain))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.branch(h)


class Posterior(NamedTuple):
    """q(noise | x) = N(mean, std^2), and a draw of it."""

    mean: Tensor
    log_std: Tensor
    noise: Tensor


class TopDown(nn.Module):
    """h + W z, then a residual block; z = mu(h) + sigma(h) noise, noise ~ N(0, I) a priori.

    The posterior is one of the noise, N(d, s^2) with d and s from h and from what the encoder saw: of z it is
    N(mu + sigma d, (sigma s)^2), relative to its prior. It starts as the prior itself, and that as N(0, I).
    """

    def __init__(self, level: Level, bottleneck: float | None, gain: float) -> None:
        super().__init__()
        self.shape = (level.latent, *level.size)
        self.prior = nn.Sequential(nn.SiLU(), zero_conv(level.width, 2 * level.latent, level.size))
        self.posterior = branch(level.width, 2 * level.latent, level.size, bottleneck, zero_conv)
        self.enter = conv(level.latent, level.width, level.size, 1, gain)
        self.net = Residual(level, bottleneck, gain)

    def infer(self, h: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """d and log s, [n, *shape], in float32."""
        mean, log_std = self.posterior(h + seen).float().chunk(2, dim=1)
        return mean, log_std.clamp(-8, 3)

    def forward(self, h: Tensor, noise: Tensor) -> Tensor:
        mean, log_std = self.prior(h).float().chunk(2, dim=1)
        return self.net(h + self.enter(mean + log_std.clamp(-6, 3).exp() * noise).to(h.dtype))


class Grow(nn.Module):
    """From one resolution to the next finer, and a bias for each position.

    One pixel becomes a picture by a linear map of its own for each position, a picture a larger one by copying.
    """

    def __init__(self, coarse: Level, fine: Level) -> None:
        super().__init__()
        self.out = (fine.width, *fine.size)
        self.map = conv(coarse.width, math.prod(self.out) if coarse.size == (1, 1) else fine.width, coarse.size, 1)
        self.bias = nn.Parameter(torch.zeros(self.out))

    def forward(self, h: Tensor) -> Tensor:
        single = h.shape[2:] == (1, 1)
        h = self.map(F.silu(h))
        h = h.flatten(1).unflatten(1, self.out) if single else F.interpolate(h, size=self.out[1:])
        return h.contiguous(memory_format=torch.channels_last) + self.bias.to(h.dtype)


NoiseAt = Callable[[TopDown, Tensor], Tensor]
"""The noise [n, *block.shape] that a block is given where h has come to."""


class Stage(nn.Module):
    """The blocks of one resolution, with latents or without, shifted by the class; then on to the next resolution."""

    def __init__(
        self, level: Level, finer: Level | None, num_classes: int | None, bottleneck: float | None, gain: float
    ) -> None:
        super().__init__()
        self.embed_class = ClassEmbedding(num_classes, level.width)
        block = TopDown if level.latent else Residual
        self.blocks = nn.ModuleList(block(level, bottleneck, gain) for _ in range(level.depth))
        self.grow = Grow(level, finer) if finer else nn.Identity()

    def forward(self, h: Tensor, labels: Tensor | None, noise_at: NoiseAt) -> Tensor:
        vector = self.embed_class(labels, h)
        h = h + vector[:, :, None, None].to(h.dtype) if vector.dim() else h
        for block in self.blocks:
            h = block(h, noise_at(block, h)) if isinstance(block, TopDown) else block(h)
        return self.grow(h)


class BottomUp(nn.Module):
    """What the posteriors see: the features of x at every resolution, finest first."""

    def __init__(self, pixels: int, levels: list[Level], depth: int, bottleneck: float | None) -> None:
        super().__init__()
        gain = 1 / math.sqrt(depth * len(levels))
        self.stem = conv(pixels, levels[0].width, levels[0].size)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Residual(level, bottleneck, gain) for _ in range(depth))) for level in levels
        )
        self.shrink = nn.ModuleList(
            normed(
                nn.Conv2d(fine.width, coarse.width, fine.size)
                if coarse.size == (1, 1)
                else nn.Conv2d(fine.width, coarse.width, 3, stride=2, padding=1)
            )
            for fine, coarse in itertools.pairwise(levels)
        )

    def forward(self, patches: Tensor) -> list[Tensor]:
        seen = [self.stages[0](self.stem(patches))]
        for shrink, stage in zip(self.shrink, self.stages[1:], strict=False):
            seen.append(stage(shrink(F.silu(seen[-1]))))
        return seen
