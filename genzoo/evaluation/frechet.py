"""The Fréchet distance between two sets of features, its bias removed, and its error. Float64 throughout.

References: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017) for
the distance; Effectively Unbiased FID (Chong and Forsyth, 2020) for extrapolation in 1/N; The Jackknife and Bootstrap
(Shao and Tu, 1995) for deleting blocks.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from genzoo.evaluation.checks import check_features

NUM_BLOCKS = 20


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    se: float


@dataclass(frozen=True)
class _Reference:
    """Mean, a root R of the covariance (R^T R = S, [min(n, d), d]) and the trace of S, of the real features."""

    mean: Tensor
    root: Tensor
    trace: Tensor

    @classmethod
    def of(cls, real: Tensor) -> "_Reference":
        rows = _scaled_deviations(real)
        return cls(real.mean(0), torch.linalg.qr(rows, mode="r").R, rows.square().sum())

    def distance(self, fake: Tensor) -> float:
        """tr (S_r S_f)^(1/2) is the sum of the square roots of the eigenvalues of R S_f R^T, which is symmetric."""
        rows = _scaled_deviations(fake)
        across = rows @ self.root.T
        spectrum = torch.linalg.eigvalsh(across.T @ across).clamp(min=0)
        shift = (fake.mean(0) - self.mean).square().sum()
        return max((shift + self.trace + rows.square().sum() - 2 * spectrum.sqrt().sum()).item(), 0.0)


def _scaled_deviations(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / math.sqrt(len(x) - 1)


def _shuffled(x: Tensor, seed: int) -> Tensor:
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).to(x.device)]


def _jackknife(statistic: Callable[[Tensor], float], x: Tensor) -> float:
    """sqrt((B - 1) / B sum_b (s_b - mean s)^2), s_b the statistic of ``x`` without every B-th row from b, B = 20."""
    num_blocks = min(NUM_BLOCKS, len(x))
    block = torch.arange(len(x), device=x.device) % num_blocks
    deleted = torch.tensor([statistic(x[block != b]) for b in range(num_blocks)], dtype=torch.float64)
    return math.sqrt((num_blocks - 1) * deleted.var(correction=0).item())


def frechet_distance(fake: Tensor, real: Tensor) -> float:
    """|m_f - m_r|^2 + tr(S_f + S_r - 2 (S_f S_r)^(1/2)), not below 0, of features [n, d] and [m, d], n, m >= 2.

    Covariances have n - 1 in the denominator. Right for fewer rows than columns too.
    """
    fake, real = check_features(fake, real, 2)
    return _Reference.of(real).distance(fake)


def fd(fake: Tensor, real: Tensor, *, seed: int = 0) -> Estimate:
    """:func:`frechet_distance` with a jackknife error over 20 blocks of fakes, given the real features."""
    fake, real = check_features(fake, real, 3)
    reference = _Reference.of(real)
    return Estimate(reference.distance(fake), _jackknife(reference.distance, _shuffled(fake, seed)))


def fd_debiased(fake: Tensor, real: Tensor, *, seed: int = 0, strata: Tensor | None = None) -> Estimate:
    """2 FD_N - (FD_a + FD_b) / 2, where a and b are disjoint random halves of both sets: free of the bias of order 1/N.

    It may be below 0. The halves and the jackknife's 20 blocks of fakes come from ``seed``. A real set that was drawn
    class by class has less bias than its halves would show: give its classes as ``strata``, and the halves share them.
    """
    fake, real = check_features(fake, real, 6)
    whole = _Reference.of(real)
    first, second = (_Reference.of(real[rows]) for rows in _halves(len(real), seed + 1, strata))

    def statistic(x: Tensor) -> float:
        a, b = x.tensor_split(2)
        return 2 * whole.distance(x) - (first.distance(a) + second.distance(b)) / 2

    fake = _shuffled(fake, seed)
    return Estimate(statistic(fake), _jackknife(statistic, fake))


def _halves(n: int, seed: int, strata: Tensor | None) -> tuple[Tensor, Tensor]:
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    if strata is not None:
        order = order[strata.cpu()[order].argsort(stable=True)]
    return order[::2], order[1::2]
