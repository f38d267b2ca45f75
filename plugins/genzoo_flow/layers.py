"""Invertible layers: ``forward(x) -> (z, log|det dz/dx| [n])`` and ``inverse(z) -> x``.

Each is told the labels [n] of its rows, or None; only those whose nets are conditional listen.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn


class Invertible(nn.Module):
    """A bijection with a tractable Jacobian determinant."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and log|det dz/dx|, [n]."""
        raise NotImplementedError

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """x with ``forward(x)[0] == z``."""
        raise NotImplementedError


class Chain(Invertible):
    """One bijection after another; the log-determinants add up."""

    def __init__(self, *layers: Invertible) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x, labels)
            log_det = log_det + change
        return x, log_det

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in reversed(list(self.layers)):
            z = cast(Invertible, layer).inverse(z, labels)
        return z


class Split(Invertible):
    """Half of the channels leave as part of z; the other half goes on: z = [leaving, rest(staying)], [n, d].

    Reference: Density Estimation Using Real NVP (Dinh et al., 2017), section 3.6.
    """

    def __init__(self, leaving: tuple[int, ...], rest: Invertible) -> None:
        super().__init__()
        self.leaving, self.rest = leaving, rest

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        staying, leaving = x.split([x.shape[1] - self.leaving[0], self.leaving[0]], dim=1)
        z, log_det = self.rest(staying, labels)
        return torch.cat([leaving.flatten(1), z], dim=1), log_det

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        leaving, z = z.tensor_split([math.prod(self.leaving)], dim=1)
        return torch.cat([self.rest.inverse(z, labels), leaving.unflatten(1, self.leaving)], dim=1)


class Flatten(Invertible):
    """[n, *shape] to [n, d]."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.flatten(1), x.new_zeros(len(x))

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return z.unflatten(1, self.shape)


class Squeeze(Invertible):
    """Rectangles of pixels become channels: [c, h, w] -> [c rows columns, h / rows, w / columns]."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = x.unflatten(3, (-1, self.columns)).unflatten(2, (-1, self.rows))
        return x.permute(0, 1, 3, 5, 2, 4).flatten(1, 3), x.new_zeros(len(x))

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        z = z.unflatten(1, (-1, self.rows, self.columns))
        return z.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


class Permute(Invertible):
    """The channels, or coordinates, in another order."""

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return z[:, self.back]


class ActNorm(Invertible):
    """z = exp(s) (x + b), per channel; while ``waiting``, set so that what passes leaves with mean 0 and variance 1.

    Reference: Glow (Kingma and Dhariwal, 2018), section 3.1.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        per_channel = (shape[0], *[1] * (len(shape) - 1))
        self.bias = nn.Parameter(torch.zeros(per_channel))
        self.log_scale = nn.Parameter(torch.zeros(per_channel))
        self.pixels = math.prod(shape[1:])
        self.waiting = False

    @torch.no_grad()
    def _set(self, x: Tensor) -> None:
        std, mean = torch.std_mean(x, [i for i in range(x.dim()) if i != 1], correction=0, keepdim=True)
        self.bias.copy_(-mean[0])
        self.log_scale.copy_(-(std[0] + 1e-3).log())
        self.waiting = False

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.waiting:
            self._set(x)
        log_det = self.log_scale.sum() * self.pixels
        return (x + self.bias) * self.log_scale.exp(), log_det.expand(len(x))

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return z * torch.exp(-self.log_scale) - self.bias


class Linear1x1(Invertible):
    """z = P L U x at every pixel: log|det| is the sum of log diag U, times the pixels.

    L and U are triangular, the diagonals 1 and positive. P is a random order of the channels, and L U starts as the
    identity: a random rotation's factors are so badly conditioned that small changes of them are large ones of z.

    Reference: Glow (Kingma and Dhariwal, 2018), section 3.2.
    """

    back: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels = shape[0]
        self.register_buffer("back", _shuffled(channels))
        self.lower, self.upper = (nn.Parameter(torch.zeros(channels, channels)) for _ in range(2))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.pixels = math.prod(shape[1:])

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # the determinant is of W to all its digits
            lower, upper = self._triangles()
            z = _at_every_pixel((lower @ upper)[self.back.argsort()], x)
        return z, (self.log_scale.sum() * self.pixels).expand(len(x))

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            lower, upper = self._triangles()
            unordered = torch.eye(len(lower)).to(lower)[self.back]
            half = torch.linalg.solve_triangular(lower, unordered, upper=False, unitriangular=True)
            return _at_every_pixel(torch.linalg.solve_triangular(upper, half, upper=True), z)

    def _triangles(self) -> tuple[Tensor, Tensor]:
        identity = torch.eye(len(self.lower)).to(self.lower)
        return self.lower.tril(-1) + identity, self.upper.triu(1) + self.log_scale.exp().diag()


def _shuffled(channels: int) -> Tensor:
    """A random order; of two, the other one: neither may always pass a coupling."""
    return torch.randperm(channels) if channels > 2 else torch.arange(channels).flip(0)


def _at_every_pixel(matrix: Tensor, x: Tensor) -> Tensor:
    return (x.movedim(1, -1) @ matrix.T).movedim(-1, 1)


class Logit(Invertible):
    """y = logit(a + (1 - 2a) (x + m) / 2m) for x in [-m, m], and straight on beyond: from the line to the line.

    A small a spreads the darkest and the lightest level, which fill much of many pictures, over as much of the line as
    the levels between: couplings that scale cannot make a spike.

    References: Density Estimation Using Real NVP (Dinh et al., 2017), section 4.1, for natural images (a = 0.05);
    Masked Autoregressive Flow for Density Estimation (Papamakarios et al., 2017) for digits (a = 1e-6).
    """

    def __init__(self, bound: float, alpha: float) -> None:
        super().__init__()
        self.bound, self.alpha = bound, alpha
        self.slope = (1 - 2 * alpha) / (2 * bound)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        p = self.alpha + self.slope * (x + self.bound)
        inside = p.clamp(self.alpha, 1 - self.alpha)
        log_p, log_q = inside.log(), torch.log1p(-inside)
        log_slope = math.log(self.slope) - log_p - log_q
        return log_p - log_q + (p - inside) / self._slope_at_edge, log_slope.flatten(1).sum(1)

    def inverse(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        edge = math.log1p(-self.alpha) - math.log(self.alpha)
        inside = z.clamp(-edge, edge)
        p = torch.sigmoid(inside) + (z - inside) * self._slope_at_edge
        return (p - self.alpha) / self.slope - self.bound

    @property
    def _slope_at_edge(self) -> float:
        """dp/dy where x is m or -m."""
        return self.alpha * (1 - self.alpha)
