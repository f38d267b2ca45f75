"""Everything that looks at pairs of features: who lies in whose neighbourhood, and the kernel distance.

One pass over one Gram matrix and half of two, a block at a time (:mod:`genzoo.evaluation.gram`): memory is
O(block * N), and every count is that of brute force in float64.

References: Demystifying MMD GANs (Bińkowski et al., 2018) for the kernel distance; Improved Precision and Recall Metric
(Kynkäänniemi et al., 2019); Reliable Fidelity and Diversity Metrics (Naeem et al., 2020) for density and coverage.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from genzoo.evaluation.checks import check_features
from genzoo.evaluation.frechet import Estimate
from genzoo.evaluation.gram import Block, Frame, Gram, Points, scan
from genzoo.evaluation.mmd import CubicKernel, KernelSums, power_sums
from genzoo.evaluation.within import NearestOthers

K_STRICT, K_CLOSED = 5, 3


@dataclass(frozen=True)
class PairStatistics:
    """What the metrics read; see :func:`pair_statistics`.

    ``balls_around_fakes`` [n_fake]: in how many real balls (k = 5, strict ``<``) each fake lies; ``covered`` [n_real]:
    whether a fake lies in the real point's ball; ``recalled`` [n_real]: whether the real point lies in a fake's ball.
    ``precise_k3`` [n_fake] and ``recalled_k3`` [n_real]: the same with k = 3 and ``<=``.
    """

    kernel_sums: KernelSums
    balls_around_fakes: Tensor
    covered: Tensor
    recalled: Tensor
    precise_k3: Tensor
    recalled_k3: Tensor

    @classmethod
    def empty(cls, sums: KernelSums) -> "PairStatistics":
        """Nobody in anybody's ball yet."""
        fake, real = (torch.zeros_like(x, dtype=torch.bool) for x in (sums.yy, sums.xx))
        return cls(sums, fake.long(), real, real.clone(), fake, real.clone())

    def add_neighbours(self, block: Block, real_squares: Tensor, fake_squares: Tensor) -> None:
        """Count who lies in whose ball among some real rows and all fakes; squared radii of each set are [n, 5]."""
        rows, fakes = block.rows, slice(len(self.precise_k3))
        real_5, real_3 = (real_squares[rows, k - 1, None] for k in (K_STRICT, K_CLOSED))
        fake_5, fake_3 = (fake_squares[:, k - 1] for k in (K_STRICT, K_CLOSED))
        inside = block.inside(real_5, closed=False)
        self.balls_around_fakes.add_(inside.sum(0)[fakes].long())
        self.covered[rows] = inside.amax(1) > 0
        self.recalled[rows] = block.inside(fake_5, closed=False).amax(1) > 0
        self.precise_k3.logical_or_(block.inside(real_3, closed=True).amax(0)[fakes] > 0)
        self.recalled_k3[rows] = block.inside(fake_3, closed=True).amax(1) > 0


# Results are written into tensors made beforehand: small ones kept between large blocks would fragment the heap, and
# memory would grow with every block.


def _within(points: Points, kernel: CubicKernel, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Squared distances to the five nearest others of the same set, [n, 5], and the kernel's row sums, [n]."""
    nearest = torch.empty(len(points), K_STRICT, dtype=torch.float64, device=points.raw.device)
    powers, others = torch.zeros_like(nearest[:, :3].T), dict[int, NearestOthers]()
    gram = Gram(points, points, dtype)
    weights = gram.filled(kernel.weights(points), 0)
    for tile in gram.tiles():
        tile.fill_diagonal(tile.product, 0)
        sums = power_sums(tile, weights[tile.rows], weights[tile.columns])
        for block, of_rows in zip(tile.both_ways(), sums, strict=False):
            powers[:, block.rows] += of_rows[:, : len(block.product)]
            others.setdefault(block.rows.start, NearestOthers(block, K_STRICT)).add(block)
        if tile.columns.stop == gram.width:
            nearest[tile.rows] = others.pop(tile.rows.start).settle(tile)
    return nearest, kernel.row_sums(points, points, powers)


def _across(
    real: tuple[Points, Tensor, Tensor], fake: tuple[Points, Tensor, Tensor], kernel: CubicKernel, dtype: torch.dtype
) -> PairStatistics:
    """What each set's neighbours and sums, and all pairs of one real and one generated row say."""
    (reals, real_squares, xx), (fakes, fake_squares, yy) = real, fake
    found = PairStatistics.empty(KernelSums(xx, yy, torch.empty_like(xx), torch.empty_like(yy)))
    real_weights, fake_weights = kernel.weights(reals).to(dtype), kernel.weights(fakes)
    of_real, of_fake = xx.new_zeros(3, len(xx)), yy.new_zeros(3, len(yy))
    gram = Gram(reals, fakes, dtype)
    for block in gram.blocks():
        found.add_neighbours(block, real_squares, fake_squares)
        rows, columns = power_sums(block, real_weights[block.rows], gram.filled(fake_weights, 0))
        of_real[:, block.rows] = rows
        of_fake += columns[:, : len(fakes)]
    found.kernel_sums.xy.copy_(kernel.row_sums(reals, fakes, of_real))
    found.kernel_sums.yx.copy_(kernel.row_sums(fakes, reals, of_fake))
    return found


@torch.no_grad()
def pair_statistics(fake: Tensor, real: Tensor) -> PairStatistics:
    """Neighbours and kernel sums of features [n, d] and [m, d], n, m > 5, in O(block * N) memory.

    A point's ball reaches to its k-th nearest other point of its own set.
    """
    frame = Frame(check_features(fake, real, K_STRICT + 1))
    kernel = CubicKernel(frame)
    found = [(points, *scan(partial(_within, points, kernel))) for points in frame.points()]
    return scan(partial(_across, found[1], found[0], kernel))


def kid(fake: Tensor, real: Tensor) -> Estimate:
    """The kernel distance: unbiased squared MMD under (x.y / d + 1)^3, on all rows, with a jackknife error."""
    return pair_statistics(fake, real).kernel_sums.mmd2()
