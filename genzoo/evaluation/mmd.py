"""The squared maximum mean discrepancy from the row sums of three kernel matrices, with its jackknife error.

References: A Kernel Two-Sample Test (Gretton et al., 2012); Demystifying MMD GANs (Bińkowski et al., 2018) for the
cubic kernel.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genzoo.evaluation.frechet import Estimate
from genzoo.evaluation.gram import Block, Frame, Points


@dataclass(frozen=True)
class KernelSums:
    """Sums over rows of k(x, x') and k(y, y') without their diagonals, and of k(x, y) over y and over x; float64."""

    xx: Tensor
    yy: Tensor
    xy: Tensor
    yx: Tensor

    def mmd2(self) -> Estimate:
        """The unbiased U-statistic, with the error of leaving out each x and each y in turn.

        ::

            sum_{i != j} k(x_i, x_j) / n(n-1) + sum_{i != j} k(y_i, y_j) / m(m-1) - 2 sum_{ij} k(x_i, y_j) / nm
        """
        n, m, within_x, within_y, across = len(self.xx), len(self.yy), self.xx.sum(), self.yy.sum(), self.xy.sum()
        value = _mmd2(within_x, within_y, across, n, m)
        without_x = _mmd2(within_x - 2 * self.xx, within_y, across - self.xy, n - 1, m)
        without_y = _mmd2(within_x, within_y - 2 * self.yy, across - self.yx, n, m - 1)
        variance = sum((len(w) - 1) * w.var(correction=0).item() for w in (without_x, without_y))
        return Estimate(value.item(), math.sqrt(variance))


def _mmd2(within_x: Tensor, within_y: Tensor, across: Tensor, n: int, m: int) -> Tensor:
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)


@dataclass(frozen=True)
class CubicKernel:
    """(x.y / d + 1)^3 of features as they are, from powers of the Gram matrix of centred ones.

    With centre c, u = x - c and the level u.c / d + (|c|^2 / d + 1) / 2 of x, the kernel is (g + p + q)^3, where
    g = u.v / d, p is the level of x and q that of y. What is constant or linear in g is summed in float64 from moments,
    whatever the offset; only the sums of g^2, g^2 q and g^3 come from Gram blocks, in their precision.
    """

    frame: Frame

    @property
    def offset(self) -> float:
        """|c|^2 / d + 1."""
        return self.frame.centre.square().mean().item() + 1

    @cached_property
    def levels(self) -> tuple[Tensor, ...]:
        """Of each set of the frame, [n] float64."""
        slope, half = self.frame.centre / len(self.frame.centre), self.offset / 2
        return tuple(torch.cat([x.centred(rows) @ slope for rows in x.chunks()]) + half for x in self.frame.points())

    @cached_property
    def moments(self) -> tuple[Tensor, ...]:
        """sum q^k v / d for k = 0, 1, 2 over each set of the frame, [3, d] float64."""
        powers = [torch.stack([q**k for k in range(3)]) / len(self.frame.centre) for q in self.levels]
        sets = zip(powers, self.frame.points(), strict=True)
        return tuple(torch.stack([q[:, rows] @ x.centred(rows) for rows in x.chunks()]).sum(0) for q, x in sets)

    def weights(self, points: Points) -> Tensor:
        """Levels over the offset, so that they fit into float32, [n]."""
        return self.levels[points.which] / self.offset

    def row_sums(self, points: Points, others: Points, powers: Tensor) -> Tensor:
        """Sums of k(x, y) over all y, [n], from the rows of :func:`power_sums`; without x itself within one set."""
        d, p, q = len(self.frame.centre), self.levels[points.which], self.levels[others.which]
        unit = -1 / (2 * self.frame.scale**2 * d)
        squares, weighted, cubes = powers[0] * unit**2, powers[1] * unit**2 * self.offset, powers[2] * unit**3
        total = cubes + 3 * (p * squares + weighted)
        moments = self.moments[others.which]
        linear = torch.cat([points.centred(rows) @ moments.T for rows in points.chunks()])
        total += 3 * (p**2 * linear[:, 0] + 2 * p * linear[:, 1] + linear[:, 2])
        total += len(q) * p**3 + 3 * p**2 * q.sum() + 3 * p * q.square().sum() + (q**3).sum()
        if points is others:
            own = points.norms / (self.frame.scale**2 * d)
            total -= 3 * own * (2 * p) ** 2 + (2 * p) ** 3
        return total


def power_sums(block: Block, row_weights: Tensor, column_weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of g^2, g^2 w and g^3 over each row [3, b] and each column [3, width] of a block; w weighs what is summed.

    g is -2 u.v of the scaled rows; weights are [b] and [width] in the dtype of the block.
    """
    squares = torch.mul(block.product, block.product, out=block.room[0])
    rows, columns = [squares.sum(1), squares @ column_weights], [squares.sum(0), row_weights @ squares]
    cubes = squares.mul_(block.product)
    return torch.stack([*rows, cubes.sum(1)]), torch.stack([*columns, cubes.sum(0)])
