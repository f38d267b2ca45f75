"""Everything that looks at pairs of features, from one pass over each Gram matrix in blocks of rows.

Memory is O(block * N), never N x N. Squared distances come as |x|^2 + |y|^2 - 2 x.y of centred float64 features; where
rounding could change a decision, the pair is computed again as sum (x - y)^2. So every comparison falls as it would in
brute force, with ties, duplicates and features far from the origin.

References: Demystifying MMD GANs (Bińkowski et al., 2018) for the kernel distance; Improved Precision and Recall Metric
(Kynkäänniemi et al., 2019); Reliable Fidelity and Diversity Metrics (Naeem et al., 2020) for density and coverage.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genzoo.evaluation.checks import check_features
from genzoo.evaluation.frechet import Estimate
from genzoo.evaluation.mmd import KernelSums

K_STRICT, K_CLOSED = 5, 3
BLOCK_ELEMENTS = 1 << 21
RECHECK_ELEMENTS = 1 << 22


class _Features:
    """Two sets of rows, centred on the real mean, and the largest error of a squared distance taken from their Gram."""

    def __init__(self, fake: Tensor, real: Tensor) -> None:
        self.raw = {"fake": fake, "real": real}
        self.centre = real.mean(0)
        self.centred = {side: x - self.centre for side, x in self.raw.items()}
        self.norms = {side: x.square().sum(1) for side, x in self.centred.items()}
        largest = max(norms.max().item() for norms in self.norms.values())
        self.slack = 4 * (real.shape[1] + 4) * torch.finfo(torch.float64).eps * largest

    @cached_property
    def identity(self) -> dict[str, Tensor]:
        """One number for each distinct row: duplicates are known without looking at their coordinates again."""
        inverse = torch.unique(torch.cat([self.raw["fake"], self.raw["real"]]), dim=0, return_inverse=True)[1]
        return dict(zip(("fake", "real"), inverse.split([len(x) for x in self.raw.values()]), strict=True))

    def blocks(self, side: str, other: str) -> Iterator["_Block"]:
        """Rows of ``side`` against all of ``other``, a block at a time."""
        rows_at_once = max(1, BLOCK_ELEMENTS // len(self.raw[other]))
        for rows in torch.arange(len(self.raw[side]), device=self.centre.device).split(rows_at_once):
            gram = self.centred[side][rows] @ self.centred[other].T
            yield _Block(self, side, other, rows, gram)


@dataclass
class _Block:
    features: _Features
    side: str
    other: str
    rows: Tensor
    gram: Tensor

    def square_distances(self) -> Tensor:
        """[block, N], within ``features.slack`` of the truth."""
        norms = self.features.norms
        return (norms[self.side][self.rows, None] + norms[self.other]).sub_(self.gram, alpha=2)

    def kernel(self) -> Tensor:
        """(x.y / d + 1)^3 of the features as they are, not centred, [block, N]."""
        centre, centred = self.features.centre, self.features.centred
        left = centred[self.side][self.rows] @ centre + centre @ centre
        dot = self.gram + left[:, None] + centred[self.other] @ centre
        return dot.div_(len(centre)).add_(1).pow_(3)

    def settle(self, square: Tensor, thresholds: list[Tensor], slack: float) -> None:
        """Recompute, in place and directly, what lies within ``slack`` of a threshold ([block, 1] or [1, N])."""
        near = torch.zeros_like(square, dtype=torch.bool)
        for threshold in thresholds:
            near |= (square - threshold).abs_() <= slack
        i, j = near.nonzero(as_tuple=True)
        identity = self.features.identity
        same = identity[self.side][self.rows[i]] == identity[self.other][j]
        square[i[same], j[same]] = 0
        pairs_at_once = max(1, RECHECK_ELEMENTS // len(self.features.centre))
        x, y = self.features.raw[self.side], self.features.raw[self.other]
        for a, b in zip(i[~same].split(pairs_at_once), j[~same].split(pairs_at_once), strict=True):
            square[a, b] = (x[self.rows[a]] - y[b]).square().sum(1)


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

    def add_neighbours(self, block: _Block, real_radii: dict[int, Tensor], fake_radii: dict[int, Tensor]) -> None:
        """Count who lies in whose ball among a block of real rows against all fakes."""
        rows, square = block.rows, block.square_distances()
        real_5, real_3 = (real_radii[k][rows, None] for k in (K_STRICT, K_CLOSED))
        fake_5, fake_3 = fake_radii[K_STRICT], fake_radii[K_CLOSED]
        block.settle(square, [real_5, real_3, fake_5, fake_3], block.features.slack)
        inside = square < real_5
        self.balls_around_fakes.add_(inside.sum(0))
        self.covered[rows] = inside.any(1)
        self.recalled[rows] = (square < fake_5).any(1)
        self.precise_k3.logical_or_((square <= real_3).any(0))
        self.recalled_k3[rows] = (square <= fake_3).any(1)


# Results are written into tensors made beforehand: small ones kept between large blocks would fragment the heap, and
# memory would grow with every block.


def _within(features: _Features, side: str) -> tuple[dict[int, Tensor], Tensor]:
    """Squared distances to the 3rd and 5th nearest other row of the same set, and the kernel's row sums; each [n]."""
    sums = torch.empty_like(features.norms[side])
    radii = {k: torch.empty_like(sums) for k in (K_CLOSED, K_STRICT)}
    for block in features.blocks(side, side):
        square = block.square_distances()
        approximate = square.topk(K_STRICT + 1, largest=False).values  # the first is the row itself
        block.settle(square, [approximate[:, k, None] for k in radii], 2 * features.slack)
        exact = square.topk(K_STRICT + 1, largest=False).values
        for k, found in radii.items():
            found[block.rows] = exact[:, k]
        kernel = block.kernel()
        sums[block.rows] = kernel.sum(1) - kernel[torch.arange(len(block.rows)), block.rows]
    return radii, sums


def pair_statistics(fake: Tensor, real: Tensor) -> PairStatistics:
    """Neighbours and kernel sums of features [n, d] and [m, d], n, m > 5, in O(block * N) memory.

    A point's ball reaches to its k-th nearest other point of its own set.
    """
    features = _Features(*check_features(fake, real, K_STRICT + 1))
    real_radii, real_sums = _within(features, "real")
    fake_radii, fake_sums = _within(features, "fake")
    sums = KernelSums(real_sums, fake_sums, xy=torch.empty_like(real_sums), yx=torch.zeros_like(fake_sums))
    found = PairStatistics.empty(sums)
    for block in features.blocks("real", "fake"):
        found.add_neighbours(block, real_radii, fake_radii)
        kernel = block.kernel()
        sums.xy[block.rows] = kernel.sum(1)
        sums.yx.add_(kernel.sum(0))
    return found


def kid(fake: Tensor, real: Tensor) -> Estimate:
    """The kernel distance: unbiased squared MMD under (x.y / d + 1)^3, on all rows, with a jackknife error."""
    return pair_statistics(fake, real).kernel_sums.mmd2()
