"""The squared maximum mean discrepancy from the row sums of three kernel matrices, with its jackknife error.

Reference: A Kernel Two-Sample Test (Gretton et al., 2012).
"""

import math
from dataclasses import dataclass

from torch import Tensor

from genzoo.evaluation.frechet import Estimate


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
