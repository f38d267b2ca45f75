"""Couplings: half of the channels or coordinates pass, and steer an increasing function of the other half.

References: Density Estimation Using Real NVP (Dinh et al., 2017), section 3.2; NICE: Non-Linear Independent Components
Estimation (Dinh et al., 2015) for the additive one; Neural Spline Flows (Durkan et al., 2019) for splines.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from genzoo.nets import ClassEmbedding
from genzoo_flow.layers import Invertible

LARGEST_LOG_SCALE = 2.0


class Increasing(Protocol):
    """An increasing function of every number."""

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log dy/dx, both like x."""

    def inverse(self, y: Tensor) -> Tensor:
        """x."""


@dataclass(frozen=True)
class Affine:
    """y = x exp(s) + t."""

    log_scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> "Affine":
        """From any numbers [..., 2], s within +-2 (a coupling that scales by more is not undone to 1e-4 in float32)."""
        s, t = numbers.unbind(-1)
        return cls(LARGEST_LOG_SCALE * torch.tanh(s / LARGEST_LOG_SCALE), t)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * self.log_scale.exp() + self.shift, self.log_scale

    def inverse(self, y: Tensor) -> Tensor:
        return (y - self.shift) * torch.exp(-self.log_scale)


@dataclass(frozen=True)
class Shift:
    """y = x + t, of numbers [..., 1]."""

    shift: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> "Shift":
        """t is the number itself."""
        return cls(numbers[..., 0])

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + self.shift, torch.zeros_like(x)

    def inverse(self, y: Tensor) -> Tensor:
        return y - self.shift


@dataclass(frozen=True)
class Form:
    """The form of a coupling's functions: how many ``numbers`` make one, and how."""

    numbers: int
    make: Callable[[Tensor], Increasing]


AFFINE, ADDITIVE = Form(2, Affine.of), Form(1, Shift.of)


class Coupling(Invertible):
    """z_a = x_a; z_b = g(x_b; net(x_a)), a and b the two halves of the channels or coordinates.

    The net makes ``form.numbers`` for each of b; it is told the labels.
    """

    def __init__(self, net: nn.Module, form: Form) -> None:
        super().__init__()
        self.net, self.form = net, form

    def _steer(self, passing: Tensor, labels: Tensor | None) -> Increasing:
        numbers = self.net(passing, labels).unflatten(1, (-1, self.form.numbers)).movedim(2, -1)
        return self.form.make(numbers)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        a, b = x.chunk(2, dim=1)
        b, log_slope = self._steer(a, labels)(b)
        return torch.cat([a, b], dim=1), log_slope.flatten(1).sum(1)

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        a, b = z.chunk(2, dim=1)
        return torch.cat([a, self._steer(a, labels).inverse(b)], dim=1)


class ClassPrior(Invertible):
    """z = x exp(s_y) + t_y, [n, d], by the class y of a row: what goes to N(0, I) comes from a Gaussian of each class.

    Reference: Glow (Kingma and Dhariwal, 2018), whose prior of a class this is.
    """

    def __init__(self, dimension: int, num_classes: int) -> None:
        super().__init__()
        self.classes = ClassEmbedding(num_classes, AFFINE.numbers * dimension)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_slope = self._of(x, labels)(x)
        return z, log_slope.sum(1)

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self._of(z, labels).inverse(z)

    def _of(self, x: Tensor, labels: Tensor | None) -> Increasing:
        return AFFINE.make(self.classes(labels, x).unflatten(1, (-1, AFFINE.numbers)))


def halves(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of what passes and of what is steered."""
    return (shape[0] - shape[0] // 2, *shape[1:]), (shape[0] // 2, *shape[1:])
