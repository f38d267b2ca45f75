"""Points in the plane whose density is known exactly, at unit scale.

Each law stands in its author's units; :class:`PointDensity` is the law of x = (raw - shift) / scale, with one scale for
both coordinates, which is what models see.

References:
    Improving and Generalizing Flow-Based Generative Models with Minibatch Optimal Transport, Tong et al., 2023
    Improved Training of Wasserstein GANs, Gulrajani et al., 2017
    FFJORD: Free-Form Continuous Dynamics for Scalable Reversible Generative Models, Grathwohl et al., 2019
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from genzoo.data.laws import Checkerboard, Law, Mixture, Rings

ROWS_AT_ONCE = 2048


@dataclass(frozen=True, eq=False)
class PointDensity:
    """A law at unit scale: its mean is 0 and the mean of its two variances is 1."""

    name: str
    law: Law

    shape = (2,)

    @property
    def shift(self) -> tuple[float, float]:
        """The law's mean: raw = x * scale + shift."""
        x, y = self.law.mean.tolist()
        return x, y

    @property
    def scale(self) -> float:
        """The law's standard deviation, one number for both coordinates."""
        return self.law.std

    @property
    def width(self) -> float:
        """The standard deviation of the noise (half a side of the checkerboard's squares), at unit scale."""
        return self.law.width / self.scale

    @property
    def num_modes(self) -> int:
        """The number of modes: Gaussians, rings, moons, arms or squares."""
        return self.law.num_modes

    @property
    def mode_weights(self) -> Tensor:
        """The probability of each mode, [num_modes]."""
        return torch.full((self.num_modes,), 1 / self.num_modes, dtype=torch.float64)

    @property
    def modes(self) -> Tensor | None:
        """The modes' centres, [num_modes, 2] float32; None where a mode is not a point (a ring, an arm, a square)."""
        if not isinstance(self.law, Mixture) or self.num_modes < len(self.law.centres):
            return None
        return ((self.law.centres - self.law.mean) / self.scale).float()

    @property
    def mode_std(self) -> float | None:
        """The standard deviation of each mode about its centre; None where ``modes`` is."""
        return None if self.modes is None else self.width

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Kernel bandwidths for a maximum mean discrepancy: a mode's width, the whole, and between (geometrically)."""
        return self.width, math.sqrt(self.width), 1.0

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = log p_raw(x * scale + shift) + 2 log scale, [n] float64, in nats; exact and normalised."""
        return self._in_blocks(self.law.log_prob, x) + 2 * math.log(self.scale)

    def mode_of(self, x: Tensor) -> Tensor:
        """The index of the nearest mode, [n] int64."""
        return self._in_blocks(self.law.mode_of, x)

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Independent draws, [n, 2] float32."""
        raw = self.law.sample(n, generator)
        return ((raw - self.law.mean.to(raw.device)) / self.scale).float()

    @cached_property
    def threshold_99(self) -> float:
        """The level t with P(log p(x) >= t) = 0.99: above it lies the 99 % highest-density region.

        The 1 % quantile over 100,000 fixed draws, so the region's true mass is 0.99 with a standard error of 0.0003.
        """
        n = 100_000
        draws = self.sample(n, torch.Generator().manual_seed(0))
        return self.log_prob(draws).kthvalue(n // 100).values.item()

    def recipe(self) -> dict[str, Any]:
        """What the law is made of, as JSON with six decimals: the same on every machine, as draws need not be."""
        parts = {name: _six_decimals(part) for name, part in vars(self.law).items()}
        return {"law": type(self.law).__name__, **parts}

    def _in_blocks(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        raw = x.double() * self.scale + self.law.mean.to(x.device)
        return torch.cat([function(block) for block in raw.split(ROWS_AT_ONCE)])


def _six_decimals(part: Tensor | float) -> Any:
    return (torch.as_tensor(part, dtype=torch.float64).round(decimals=6) + 0.0).tolist()  # + 0.0 turns -0.0 into 0.0


def _polar(radius: Tensor, angle: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1)


def _midpoints(k: int) -> Tensor:
    """The middles of k equal parts of [0, 1]."""
    return (torch.arange(k, dtype=torch.float64) + 0.5) / k


def _lattice(values: list[float]) -> Tensor:
    axis = torch.tensor(values, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def _eight_gaussians() -> Mixture:
    """Radius 5, variance 0.1 (Tong et al., 2023): neighbours are 12 standard deviations apart."""
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    return Mixture(_polar(torch.full_like(angle, 5.0), angle), math.sqrt(0.1), torch.arange(8))


def _twenty_five_gaussians() -> Mixture:
    """Spacing 2, standard deviation 0.05 (Gulrajani et al., 2017): neighbours are 40 standard deviations apart."""
    return Mixture(_lattice([-4.0, -2.0, 0.0, 2.0, 4.0]), 0.05, torch.arange(25))


def _rings() -> Rings:
    """Radii 3/4, 6/4, 9/4 and 3, noise 0.08 (Grathwohl et al., 2019)."""
    return Rings(torch.tensor([0.75, 1.5, 2.25, 3.0], dtype=torch.float64), 0.08)


def _moons() -> Mixture:
    """Two half circles of radius 1 with noise 0.1 (Grathwohl et al., 2019).

    The half circle is 64 equal Gaussians at equal steps of half the noise: that mixture is the definition.
    """
    angle = math.pi * _midpoints(64)
    upper = _polar(torch.ones_like(angle), angle)
    lower = torch.tensor([1.0, 0.5], dtype=torch.float64) - upper
    return Mixture(torch.cat([upper, lower]), 0.1, torch.arange(2).repeat_interleave(64))


def _spirals() -> Mixture:
    """Two arms r = t / 3, t = 3 pi sqrt(u), u uniform, noise 0.1 (Grathwohl et al., 2019, without their box jitter).

    The arm is 256 equal Gaussians at the middles of equal parts of u: that mixture is the definition.
    """
    t = 3 * math.pi * _midpoints(256).sqrt()
    arm = _polar(t / 3, math.pi - t)
    return Mixture(torch.cat([arm, -arm]), 0.1, torch.arange(2).repeat_interleave(256))


def _checkerboard() -> Checkerboard:
    """Every other square of side 2 in [-4, 4]^2 (Grathwohl et al., 2019)."""
    centres = _lattice([-3.0, -1.0, 1.0, 3.0])
    return Checkerboard(centres[(centres.sum(1) % 4) == 2], 1.0)


LAWS: dict[str, Callable[[], Law]] = {
    "8gaussians": _eight_gaussians,
    "25gaussians": _twenty_five_gaussians,
    "rings": _rings,
    "moons": _moons,
    "checkerboard": _checkerboard,
    "spirals": _spirals,
}


@cache
def density(name: str) -> PointDensity:
    """The density of a built-in set of points (a key of :data:`LAWS`), at unit scale; one object for each name."""
    return PointDensity(name, LAWS[name]())
