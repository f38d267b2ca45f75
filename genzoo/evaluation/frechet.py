"""The Fréchet distance between two sets of features, its bias removed, and its error. Float64 throughout.

References: GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017) for
the distance; Effectively Unbiased FID (Chong and Forsyth, 2020) for extrapolation in 1/N; The Jackknife and Bootstrap
(Shao and Tu, 1995) for deleting blocks, and for the first-order version.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import check_features, check_rows
from genzoo.evaluation.moments import Moments, moments

NUM_BLOCKS = 20
PANEL = 256
LARGE = 1024  # eigenvalues of more columns than this are too slow to be computed for every block


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    se: float


def _panels(width: int) -> Iterator[slice]:
    return (slice(k, min(k + PANEL, width)) for k in range(0, width, PANEL))


def _congruence(lower: Tensor, cov: Tensor) -> Tensor:
    """L^T S L of a lower trapezoidal L [d, r] and S [d, d]; only its lower half is right, [r, r]."""
    right, out = torch.empty_like(lower), lower.new_zeros(lower.shape[1], lower.shape[1])
    for panel in _panels(lower.shape[1]):
        right[:, panel] = cov[:, panel.start :] @ lower[panel.start :, panel]
    for panel in _panels(lower.shape[1]):
        out[panel, : panel.stop] = lower[panel.start :, panel].T @ right[panel.start :, : panel.stop]
    return out


def _deviations(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / math.sqrt(len(x) - 1)


def _sum_of_roots(lower_half: Tensor) -> float:
    """tr M^(1/2) of a positive semidefinite matrix, faster from its transpose's upper half."""
    return torch.linalg.eigvalsh(lower_half.T, UPLO="U").clamp(min=0).sqrt().sum().item()


@dataclass(frozen=True)
class _Reference:
    """Mean, trace of the covariance S, and a lower trapezoidal L [d, r] with L L^T = S, of the real features."""

    mean: Tensor
    lower: Tensor
    trace: float

    @classmethod
    def of(cls, real: Tensor) -> "_Reference":
        if len(real) > real.shape[1]:
            return cls.of_moments(moments(real))
        rows = _deviations(real)
        return cls(real.mean(0), torch.linalg.qr(rows, mode="r").R.T, rows.square().sum().item())

    @classmethod
    def of_moments(cls, moments: Moments) -> "_Reference":
        lower, failed = torch.linalg.cholesky_ex(moments.cov)
        if failed:  # singular
            variances, directions = torch.linalg.eigh(moments.cov)
            root = variances.clamp(min=0).sqrt()[:, None] * directions.T
            lower = torch.linalg.qr(root, mode="r").R.T
        return cls(moments.mean, lower, moments.cov.trace().item())

    def distance(self, fake: Tensor) -> float:
        """tr (S_r S_f)^(1/2) is the sum of the square roots of the eigenvalues of L^T S_f L, which is symmetric."""
        if len(fake) > fake.shape[1]:
            return self.distance_to_moments(moments(fake))
        rows = _deviations(fake)
        across = rows @ self.lower
        across = across.T @ across if len(rows) > across.shape[1] else across @ across.T
        return self.total(fake.mean(0), rows.square().sum().item(), _sum_of_roots(across))

    def distance_to_moments(self, fake: Moments) -> float:
        """The same from the moments of the generated features."""
        return self.total(fake.mean, fake.cov.trace().item(), _sum_of_roots(_congruence(self.lower, fake.cov)))

    def total(self, mean: Tensor, trace: float, root_trace: float) -> float:
        """|m_f - m_r|^2 + tr S_f + tr S_r - 2 tr (S_r S_f)^(1/2), not below 0."""
        return max((mean - self.mean).square().sum().item() + self.trace + trace - 2 * root_trace, 0.0)


def frechet_distance(fake: Tensor, real: Tensor) -> float:
    """|m_f - m_r|^2 + tr(S_f + S_r - 2 (S_f S_r)^(1/2)), not below 0, of features [n, d] and [m, d], n, m >= 2.

    Covariances have n - 1 in the denominator. Right for fewer rows than columns too.
    """
    fake, real = check_features(fake, real, 2)
    return _Reference.of(real).distance(fake)


def frechet_between(fake: Moments, real: Moments) -> float:
    """:func:`frechet_distance` from moments alone; raises :class:`InvalidSamples` if their widths differ."""
    _check_width(len(fake.mean), real)
    return _Reference.of_moments(real).distance_to_moments(fake)


def frechet_from_moments(fake: Tensor, real: Moments) -> float:
    """:func:`frechet_distance` of features [n, d] to published moments; raises where these are of another width."""
    fake = check_rows(fake, "generated", 2)
    _check_width(fake.shape[1], real)
    return _Reference.of_moments(real).distance(fake)


def _check_width(width: int, real: Moments) -> None:
    if width != len(real.mean):
        raise InvalidSamples(
            f"generated rows have {width} columns, the statistics {len(real.mean)}: use the extractor that made those"
        )


@dataclass(frozen=True)
class Jackknife:
    """A statistic of all rows, and of the rows without each of B blocks, [B] float64; ``how`` they were computed."""

    value: float
    deleted: Tensor
    how: str

    @property
    def estimate(self) -> Estimate:
        """With se = sqrt((B - 1) / B sum_b (s_b - mean s)^2)."""
        return Estimate(self.value, math.sqrt((len(self.deleted) - 1) * self.deleted.var(correction=0).item()))


@dataclass(frozen=True)
class _Deletion:
    """Sums of rows [n, k] with mean 0 from which one block has been taken; n' rows are left, their mean is ``mean``."""

    count: int
    mean: Tensor
    block: Tensor

    def covariance(self, scatter: Tensor) -> Tensor:
        """Of the rows left, from sum z z^T over all rows, [k, k]."""
        left = scatter - self.block.T @ self.block - self.count * torch.outer(self.mean, self.mean)
        return left / (self.count - 1)

    def trace(self, squares: Tensor) -> float:
        """Of that covariance, from sum |z|^2 over all rows."""
        left = squares - self.block.square().sum() - self.count * self.mean.square().sum()
        return left.item() / (self.count - 1)


def _deletions(rows: Tensor, blocks: list[Tensor]) -> Iterator[_Deletion]:
    for mask in blocks:
        block = rows[mask]
        count = len(rows) - len(block)
        yield _Deletion(count, -block.sum(0) / count, block)


def _roots(projected: Tensor, blocks: list[Tensor]) -> tuple[float, list[float]]:
    """tr M^(1/2) of the covariance M of rows [n, r] with mean 0, and without each block."""
    scatter = projected.T @ projected
    deleted = [_sum_of_roots(some.covariance(scatter)) for some in _deletions(projected, blocks)]
    return _sum_of_roots(scatter / (len(projected) - 1)), deleted


def _first_order_roots(projected: Tensor, blocks: list[Tensor]) -> tuple[float, list[float]]:
    """:func:`_roots` from one set of eigenvalues: tr M_b^(1/2) = (tr M^(1/2) + tr M^(-1/2) M_b) / 2 to first order.

    The second trace is that of the covariance of the rows times M^(-1/4).
    """
    spectrum, directions = torch.linalg.eigh(projected.T @ projected / (len(projected) - 1))
    floor = 1e-14 * spectrum[-1].item() + torch.finfo(spectrum.dtype).tiny  # no row points where there is no variance
    weighted = projected @ (directions * spectrum.clamp(min=floor).pow(-0.25))
    trace, squares = spectrum.clamp(min=0).sqrt().sum().item(), weighted.square().sum()
    return trace, [(trace + some.trace(squares)) / 2 for some in _deletions(weighted, blocks)]


def _delete_blocks(reference: _Reference, fake: Tensor, blocks: list[Tensor]) -> Jackknife:
    """The distance of all fakes, and without each block: moments are downdated, not computed anew."""
    mean = fake.mean(0)
    deviations = fake - mean
    projected, squares = deviations @ reference.lower, deviations.square().sum()
    first_order = projected.shape[1] > LARGE and len(fake) >= 2 * projected.shape[1]
    root, roots = (_first_order_roots if first_order else _roots)(projected, blocks)
    left = zip(_deletions(deviations, blocks), roots, strict=True)
    deleted = [reference.total(mean + some.mean, some.trace(squares), without) for some, without in left]
    value = reference.total(mean, squares.item() / (len(fake) - 1), root)
    how = f"{'first-order ' if first_order else ''}jackknife over {len(blocks)} blocks of fakes"
    return Jackknife(value, torch.tensor(deleted, dtype=torch.float64), how)


def _blocks(n: int, device: torch.device) -> list[Tensor]:
    """Masks [n] of every B-th row from b, B = 20."""
    num_blocks = min(NUM_BLOCKS, n)
    numbers = torch.arange(n, device=device) % num_blocks
    return [numbers == b for b in range(num_blocks)]


def _shuffled(x: Tensor, seed: int) -> Tensor:
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).to(x.device)]


def fd_jackknife(fake: Tensor, real: Tensor, *, seed: int = 0) -> Jackknife:
    """:func:`frechet_distance` of all fakes and without each of 20 blocks, given the real features.

    The same ``seed`` deletes the same blocks, so the error of a difference of two is that of their differences.
    """
    fake, real = check_features(fake, real, 3)
    return _delete_blocks(_Reference.of(real), _shuffled(fake, seed), _blocks(len(fake), fake.device))


def fd(fake: Tensor, real: Tensor, *, seed: int = 0) -> Estimate:
    """:func:`frechet_distance` with a jackknife error over 20 blocks of fakes, given the real features."""
    return fd_jackknife(fake, real, seed=seed).estimate


def fd_debiased_jackknife(fake: Tensor, real: Tensor, *, seed: int = 0, strata: Tensor | None = None) -> Jackknife:
    """:func:`fd_debiased` of all fakes and without each of 20 blocks; a block is missing from its halves too."""
    fake, real = check_features(fake, real, 6)
    fake, blocks = _shuffled(fake, seed), _blocks(len(fake), fake.device)
    whole = _delete_blocks(_Reference.of(real), fake, blocks)
    halves = [
        _delete_blocks(_Reference.of(real[rows]), half, [mask[place] for mask in blocks])
        for rows, half, place in zip(
            _halves(len(real), seed + 1, strata),
            fake.tensor_split(2),
            torch.arange(len(fake), device=fake.device).tensor_split(2),
            strict=True,
        )
    ]
    value = 2 * whole.value - sum(half.value for half in halves) / 2
    deleted = 2 * whole.deleted - (halves[0].deleted + halves[1].deleted) / 2
    return Jackknife(value, deleted, halves[0].how)


def fd_debiased(fake: Tensor, real: Tensor, *, seed: int = 0, strata: Tensor | None = None) -> Estimate:
    """2 FD_N - (FD_a + FD_b) / 2, where a and b are disjoint random halves of both sets: free of the bias of order 1/N.

    It may be below 0. The halves and the jackknife's 20 blocks of fakes come from ``seed``. A real set that was drawn
    class by class has less bias than its halves would show: give its classes as ``strata``, and the halves share them.
    """
    return fd_debiased_jackknife(fake, real, seed=seed, strata=strata).estimate


def _halves(n: int, seed: int, strata: Tensor | None) -> tuple[Tensor, Tensor]:
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    if strata is not None:
        order = order[strata.cpu()[order].argsort(stable=True)]
    return order[::2], order[1::2]
