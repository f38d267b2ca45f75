"""Means and covariances, in float64: of features, or published by somebody else."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import check_rows

CHUNK_ROWS = 1024
SMALL = 512


@dataclass(frozen=True)
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
            raise InvalidSamples(
                f"mu has shape {tuple(mean.shape)} and sigma {tuple(cov.shape)}; statistics are [d] and [d, d]"
            )
        if not (mean.isfinite().all() and cov.isfinite().all()):
            raise InvalidSamples("mu or sigma holds NaN or infinity: compute the statistics again")
        largest = cov.diagonal().abs().amax()
        if (cov - cov.T).abs().amax() > 1e-5 * largest or (cov.diagonal() < 0).any():
            raise InvalidSamples("sigma is no covariance: it is not symmetric or has a negative variance")
        return cls(mean, (cov + cov.T) / 2)


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
