"""Monotonic rational-quadratic splines.

Reference: Neural Spline Flows (Durkan, Bekasov, Murray and Papamakarios, 2019), section 3.1.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_BIN = 1e-4
SMALLEST_SLOPE = 1e-4


@dataclass(frozen=True)
class Bin:
    """The piece of each spline that a point falls in, all [...]: from (x, y), w wide and h high, and its end slopes."""

    x: Tensor
    y: Tensor
    w: Tensor
    h: Tensor
    left: Tensor
    right: Tensor


@dataclass(frozen=True)
class Spline:
    """An increasing function from the line onto itself, the identity outside [-reach, reach].

    Inside, between knots (x_k, y_k), with s = h / w the mean slope of a bin and u = (x - x_k) / w::

        y = y_k + h (s u^2 + d_k u (1 - u)) / (s + (d_k + d_{k+1} - 2 s) u (1 - u))

    ``knots_x``, ``knots_y``, ``slopes`` are [..., K + 1]; the slopes at both ends are 1, so the density has no step.
    """

    knots_x: Tensor
    knots_y: Tensor
    slopes: Tensor
    reach: float

    @classmethod
    def of(cls, numbers: Tensor, reach: float) -> "Spline":
        """From any numbers [..., 3 K - 1]; zeros make it the identity."""
        k = (numbers.shape[-1] + 1) // 3
        widths, heights, slopes = numbers.split([k, k, k - 1], dim=-1)
        inner = SMALLEST_SLOPE + F.softplus(slopes + _SOFTPLUS_IS_ONE) * (1 - SMALLEST_SLOPE)
        return cls(_knots(widths, reach), _knots(heights, reach), F.pad(inner, (1, 1), value=1.0), reach)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y and log dy/dx, of x [...]."""
        inside = x.abs() < self.reach
        piece = self._piece(self.knots_x, x)
        u = ((x - piece.x) / piece.w).clamp(0, 1)
        s, v = piece.h / piece.w, u * (1 - u)
        bottom = s + (piece.left + piece.right - 2 * s) * v
        y = piece.y + piece.h * (s * u**2 + piece.left * v) / bottom
        slope = s**2 * (piece.right * u**2 + 2 * s * v + piece.left * (1 - u) ** 2) / bottom**2
        return torch.where(inside, y, x), torch.where(inside, slope, 1.0).log()

    def inverse(self, y: Tensor) -> Tensor:
        """x, of y [...]: the root in [0, 1] of a u^2 + b u + c = 0, in the form that does not cancel."""
        inside = y.abs() < self.reach
        piece = self._piece(self.knots_y, y)
        s, rise = piece.h / piece.w, (y - piece.y).clamp(min=0)
        bend = rise * (piece.left + piece.right - 2 * s)
        a, b, c = piece.h * (s - piece.left) + bend, piece.h * piece.left - bend, -s * rise
        u = 2 * c / (-b - (b**2 - 4 * a * c).clamp(min=0).sqrt())
        return torch.where(inside, piece.x + u.clamp(0, 1) * piece.w, y)

    def _piece(self, knots: Tensor, at: Tensor) -> Bin:
        k = torch.searchsorted(knots[..., 1:-1].contiguous(), at[..., None].contiguous())
        x, right_x = _pair(self.knots_x, k)
        y, right_y = _pair(self.knots_y, k)
        return Bin(x, y, right_x - x, right_y - y, *_pair(self.slopes, k))


_SOFTPLUS_IS_ONE = 0.5413248546129181  # log(e - 1)


def _knots(logits: Tensor, reach: float) -> Tensor:
    """From -reach to reach in steps in proportion to a softmax, none too small, [..., K + 1]."""
    k = logits.shape[-1]
    share = SMALLEST_BIN + (1 - SMALLEST_BIN * k) * logits.softmax(-1)
    inner = share.cumsum(-1)[..., :-1]
    return reach * (2 * F.pad(F.pad(inner, (1, 0)), (0, 1), value=1.0) - 1)


def _pair(values: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The values at k and at k + 1."""
    pair = values.gather(-1, torch.cat([k, k + 1], -1))
    return pair[..., 0], pair[..., 1]
