"""The two halves of a hierarchical variational autoencoder: up the resolutions, and down again with latents."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.nets import ClassEmbedding


class Level(NamedTuple):
    """One resolution: its size, channels, number of blocks, and channels of the latent of each (0 for none)."""

    size: tuple[int, int]
    width: int
    depth: int
    latent: int


def conv(fan_in: int, fan_out: int, size: tuple[int, int], kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size (of one pixel: without a neighbourhood), its weights at He's scale."""
    kernel = kernel if max(size) > 2 else 1
    layer = nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight.mul_(gain)
    return layer


def branch(fan_in: int, fan_out: int, size: tuple[int, int], bottleneck: float | None, gain: float) -> nn.Sequential:
    """silu, conv, silu, conv; or, of a ``bottleneck``, four of which the middle two have so much fewer channels."""
    narrow = fan_in if bottleneck is None else max(1, round(bottleneck * fan_in))
    outer, middle = (3, []) if bottleneck is None else (1, [(narrow, narrow, 3), (narrow, narrow, 3)])
    plan = [(fan_in, narrow, outer), *middle, (narrow, fan_out, outer)]
    layers: list[nn.Module] = []
    for i, (a, b, kernel) in enumerate(plan, 1):
        layers += [nn.SiLU(), conv(a, b, size, kernel, gain if i == len(plan) else 1.0)]
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """h + branch(h)."""

    def __init__(self, level: Level, bottleneck: float | None, gain: float) -> None:
        super().__init__()
        self.branch = branch(level.width, level.width, level.size, bottleneck, gain)

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
    N(mu + sigma d, (sigma s)^2), relative to its prior. It starts as the prior itself.
    """

    def __init__(self, level: Level, bottleneck: float | None, gain: float) -> None:
        super().__init__()
        self.shape = (level.latent, *level.size)
        self.prior = nn.Sequential(nn.SiLU(), conv(level.width, 2 * level.latent, level.size, gain=0.0))
        self.posterior = branch(level.width, 2 * level.latent, level.size, bottleneck, 0.0)
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


class Stage(nn.Module):
    """The blocks of one resolution: with latents, or (``refine``) without; all shifted by the class."""

    def __init__(self, level: Level, num_classes: int | None, bottleneck: float | None, gain: float) -> None:
        super().__init__()
        stochastic = level.depth if level.latent else 0
        self.embed_class = ClassEmbedding(num_classes, level.width)
        self.blocks = nn.ModuleList(TopDown(level, bottleneck, gain) for _ in range(stochastic))
        self.refine = nn.Sequential(*(Residual(level, bottleneck, gain) for _ in range(level.depth - stochastic)))

    def shift(self, h: Tensor, labels: Tensor | None) -> Tensor:
        """h plus the vector of the class."""
        vector = self.embed_class(labels, h)
        return h + vector[:, :, None, None].to(h.dtype) if vector.dim() else h


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
            nn.Conv2d(fine.width, coarse.width, fine.size)
            if coarse.size == (1, 1)
            else nn.Conv2d(fine.width, coarse.width, 3, stride=2, padding=1)
            for fine, coarse in zip(levels, levels[1:], strict=False)
        )

    def forward(self, patches: Tensor) -> list[Tensor]:
        seen = [self.stages[0](self.stem(patches))]
        for shrink, stage in zip(self.shrink, self.stages[1:], strict=False):  # type: ignore[arg-type]
            seen.append(stage(shrink(F.silu(seen[-1]))))
        return seen
