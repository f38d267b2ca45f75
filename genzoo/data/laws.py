"""Distributions in the plane with exact densities: mixtures of Gaussians, rings, a checkerboard.

All arithmetic is float64; all modes have the same weight.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

EDGE = 1e-6


class Law(Protocol):
    """A distribution in the plane whose modes have equal weight."""

    @property
    def width(self) -> float:
        """The standard deviation of the noise, or half the side of a square."""

    @property
    def num_modes(self) -> int:
        """The number of modes."""

    @property
    def mean(self) -> Tensor:
        """E[x], [2]."""

    @property
    def std(self) -> float:
        """The square root of the mean of the two variances."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Exact and normalised, [n], of float64 x [n, 2]."""

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Independent draws, float64 [n, 2]."""

    def mode_of(self, x: Tensor) -> Tensor:
        """The index of the nearest mode, [n]."""


def _choose(k: int, n: int, generator: Generator) -> Tensor:
    return torch.randint(k, (n,), generator=generator, device=generator.device)


def _uniform(n: int, d: int, generator: Generator) -> Tensor:
    return torch.rand(n, d, generator=generator, device=generator.device, dtype=torch.float64)


def _normal(n: int, generator: Generator) -> Tensor:
    return torch.randn(n, 2, generator=generator, device=generator.device, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Mixture:
    """p(x) = 1/k sum_j N(x; c_j, width^2 I), with centres c [k, 2] that belong to modes [k]."""

    centres: Tensor
    width: float
    modes: Tensor

    @property
    def num_modes(self) -> int:
        return int(self.modes.max()) + 1

    @property
    def mean(self) -> Tensor:
        return self.centres.mean(0)

    @property
    def std(self) -> float:
        return math.sqrt(self.centres.var(0, correction=0).mean().item() + self.width**2)

    def log_prob(self, x: Tensor) -> Tensor:
        constant = math.log(len(self.centres)) + math.log(2 * math.pi * self.width**2)
        return torch.logsumexp(-self._square_distances(x) / (2 * self.width**2), 1) - constant

    def sample(self, n: int, generator: Generator) -> Tensor:
        centres = self.centres.to(generator.device)[_choose(len(self.centres), n, generator)]
        return centres + self.width * _normal(n, generator)

    def mode_of(self, x: Tensor) -> Tensor:
        return self.modes.to(x.device)[self._square_distances(x).argmin(1)]

    def _square_distances(self, x: Tensor) -> Tensor:
        centres = self.centres.to(x.device)
        return x.square().sum(1, keepdim=True) + centres.square().sum(1) - 2 * x @ centres.T


@dataclass(frozen=True, eq=False)
class Rings:
    """A point drawn uniformly on one of k circles, plus N(0, width^2 I).

    The angle integrates out in closed form, with I_0 the modified Bessel function::

        p(x) = 1/k sum_j exp(-(|x|^2 + R_j^2) / (2 w^2)) I_0(|x| R_j / w^2) / (2 pi w^2)
    """

    radii: Tensor
    width: float

    @property
    def num_modes(self) -> int:
        return len(self.radii)

    @property
    def mean(self) -> Tensor:
        return torch.zeros(2, dtype=torch.float64)

    @property
    def std(self) -> float:
        return math.sqrt(self.radii.square().mean().item() / 2 + self.width**2)

    def log_prob(self, x: Tensor) -> Tensor:
        r, radii, variance = x.norm(dim=1, keepdim=True), self.radii.to(x.device), self.width**2
        bessel = torch.special.i0e(r * radii / variance).log()  # scaled by exp(-r R / w^2), which completes the square
        log_terms = bessel - (r - radii).square() / (2 * variance) - math.log(2 * math.pi * variance)
        return torch.logsumexp(log_terms, 1) - math.log(self.num_modes)

    def sample(self, n: int, generator: Generator) -> Tensor:
        angle = 2 * math.pi * _uniform(n, 1, generator)
        radius = self.radii.to(generator.device)[_choose(self.num_modes, n, generator), None]
        return radius * torch.cat([angle.cos(), angle.sin()], 1) + self.width * _normal(n, generator)

    def mode_of(self, x: Tensor) -> Tensor:
        return (x.norm(dim=1, keepdim=True) - self.radii.to(x.device)).abs().argmin(1)


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """Uniform on the squares [c - w, c + w) around ``centres`` [k, 2], w = width; elsewhere log p = -inf."""

    centres: Tensor
    width: float

    @property
    def num_modes(self) -> int:
        return len(self.centres)

    @property
    def mean(self) -> Tensor:
        return self.centres.mean(0)

    @property
    def std(self) -> float:
        return math.sqrt(self.centres.var(0, correction=0).mean().item() + self.width**2 / 3)

    def log_prob(self, x: Tensor) -> Tensor:
        offset = x[:, None] - self.centres.to(x.device)
        inside = ((offset >= -self.width) & (offset < self.width)).all(2).any(1)
        level = -math.log(self.num_modes * (2 * self.width) ** 2)
        return torch.full_like(x[:, 0], level).masked_fill(~inside, -math.inf)

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Draws keep 1e-6 of a side from the edges, so that no rounding to float32 moves one out of its square."""
        centres = self.centres.to(generator.device)[_choose(self.num_modes, n, generator)]
        return centres + self.width * (1 - EDGE) * (2 * _uniform(n, 2, generator) - 1)

    def mode_of(self, x: Tensor) -> Tensor:
        offset = (x[:, None] - self.centres.to(x.device)).abs()
        return (offset - self.width).clamp(min=0).square().sum(2).argmin(1)
