"""Means and covariances, in float64: of features, or published by somebody else."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import check_rows
from genzoo.evaluation.features import content_hash

CHUNK_ROWS = 1024
SMALL = 512
ASYMMETRY = 1e-5  # of the largest variance
NO_VARIANCE = 1e-4  # of the largest eigenvalue: published covariances are rounded to float32


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean [d] and covariance [d, d] in float64, with n - 1 in the denominator."""

    mean: Tensor
    cov: Tensor

    @classmethod
    def of(cls, x: Tensor) -> "Moments":
        """Of rows [n, d], n >= 2; raises :class:`InvalidSamples`."""
        return moments(check_rows(x, "generated", 2))

    @classmethod
    def checked(cls, mean: Tensor, cov: Tensor) -> "Moments":
        """Statistics that somebody else has computed; raises :class:`InvalidSamples` unless they can be moments."""
        mean, cov = mean.double(), cov.double()
        if mean.dim() != 1 or cov.shape != (len(mean), len(mean)):
            raise InvalidSamples(f"mu is {list(mean.shape)} and sigma {list(cov.shape)}; they must be [d] and [d, d]")
        if not len(mean):
            raise InvalidSamples("mu and sigma are empty; they must be [d] and [d, d]")
        if not (mean.isfinite().all() and cov.isfinite().all()):
            raise InvalidSamples("mu or sigma holds NaN or infinity: compute the statistics again")
        if (cov - cov.T).abs().amax() > ASYMMETRY * cov.diagonal().abs().amax():
            raise InvalidSamples("sigma is not symmetric, so it is no covariance")
        variances = torch.linalg.eigvalsh(cov)
        if variances[0] < -NO_VARIANCE * variances[-1]:
            raise InvalidSamples(f"sigma has a negative eigenvalue ({variances[0]:.3g}), so it is no covariance")
        return cls(mean, (cov + cov.T) / 2)

    @cached_property
    def sha256(self) -> str:
        """Of the content."""
        return content_hash(torch.cat([self.mean[None], self.cov]))


def moments(x: Tensor) -> Moments:
    """Of rows [n, d] in float64 that have been checked."""
    mean = x.mean(0)
    return Moments(mean, _scatter(x, mean) / (len(x) - 1))


def _scatter(x: Tensor, mean: Tensor) -> Tensor:
    """sum_i (x_i - mean)(x_i - mean)^T, [d, d], its lower half computed and mirrored."""
    d = x.shape[1]
    out = torch.zeros(d, d, dtype=x.dtype, device=x.device)
    for rows in x.split(CHUNK_ROWS):
        _add_lower_half(out, rows - mean)
    return out.tril() + out.tril(-1).T


def _add_lower_half(out: Tensor, rows: Tensor) -> None:
    """Add rows^T rows [k, k] to ``out``, hardly more than its lower half: one square, and twice the same again."""
    k = len(out)
    if k <= SMALL:
        out.addmm_(rows.T, rows)
        return
    first, second = slice(k // 2), slice(k // 2, k)
    out[second, first].addmm_(rows[:, second].T, rows[:, first])
    for half in (first, second):
        _add_lower_half(out[half, half], rows[:, half])
