"""Whether generated samples are nearer to the training set than they should be, from features alone.

References: How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing Generative Models
(Alaa et al., 2022) for authenticity; A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan et al.,
2020) for the rank test against held-out data.
"""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import check_features, check_rows
from genzoo.evaluation.gram import Frame, Gram, Points, scan

COPY_QUANTILE = 0.01


@dataclass(frozen=True)
class Nearest:
    """Of each row, the squared distance to the nearest other, float64 [n], and that one's number, int64 [n]."""

    square_distance: Tensor
    index: Tensor


@dataclass(frozen=True)
class Memorisation:
    """How near generated rows are to training rows; see :func:`memorisation`.

    ``auth_pct`` is a share between 0 and 1, ``expected_auth_pct`` that of the test rows; ``copy_rate`` is 0.01 and
    ``mann_whitney_z`` is 0 for a perfect model.
    """

    auth_pct: float
    expected_auth_pct: float
    copy_rate: float
    mann_whitney_z: float


@torch.no_grad()
def nearest(x: Tensor, y: Tensor, *, exclude_self: bool = False) -> Nearest:
    """The nearest row of ``y`` [m, d] to each of ``x`` [n, d], the first of equally near ones, as brute force has it.

    With ``exclude_self`` the rows of ``x`` are the first n of ``y``, and none is its own neighbour. Blocked: memory is
    O(block * m).

    Raises:
        InvalidSamples: NaN or infinity, rows of different width, or nothing to be near to.
    """
    x, y = check_features(x, y, 1)
    if exclude_self and (len(y) < 2 or len(x) > len(y)):
        raise InvalidSamples(f"{len(x)} rows have no neighbours among {len(y)}: give at least 2, and no fewer")
    points, others = Frame((x, y)).points()
    return scan(partial(_nearest, points, others, exclude_self))


def _nearest(points: Points, others: Points, exclude_self: bool, dtype: torch.dtype) -> Nearest:
    square = torch.empty(len(points), dtype=torch.float64, device=points.raw.device)
    index = torch.empty_like(square, dtype=torch.long)
    for block in Gram(points, others, dtype).blocks():
        squares, columns = block.candidates(1, exclude_self=exclude_self)
        smallest = squares.amin(1, keepdim=True)
        square[block.rows] = smallest[:, 0]
        index[block.rows] = columns.where(squares == smallest, len(others)).amin(1)
    return Nearest(square, index)


def authentic(to_train: Nearest, train: Tensor) -> Tensor:
    """Whether each is farther from its nearest training row than that one is from its own nearest other; bool [n]."""
    used, place = to_train.index.unique(return_inverse=True)
    rest = torch.ones(len(train), dtype=torch.bool, device=train.device)
    rest[used] = False
    own = nearest(train[used], torch.cat([train[used], train[rest]]), exclude_self=True)
    return to_train.square_distance > own.square_distance[place]


def mann_whitney_z(x: Tensor, y: Tensor) -> float:
    """The standardised rank sum of ``x`` [n] among ``y`` [m], corrected for ties; negative where x is the smaller.

    ::

        z = (U - nm / 2) / sqrt(nm / 12 ((N + 1) - sum_t (t^3 - t) / (N (N - 1)))),  N = n + m,

    where U counts the pairs with x > y, ties as one half, and t are the sizes of groups of equal values; 0 if all are
    equal. There is no correction for continuity.

    Reference: On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other (Mann and
    Whitney, 1947).
    """
    n, m = len(x), len(y)
    _, place, sizes = torch.cat([x, y]).double().unique(return_inverse=True, return_counts=True)
    sizes = sizes.double()
    ranks = sizes.cumsum(0) - (sizes - 1) / 2
    u = ranks[place[:n]].sum().item() - n * (n + 1) / 2
    ties = (sizes**3 - sizes).sum().item() / ((n + m) * (n + m - 1))
    variance = n * m / 12 * (n + m + 1 - ties)
    return (u - n * m / 2) / math.sqrt(variance) if variance > 0 else 0.0


def memorisation(fake: Tensor, real: Tensor, train: Tensor) -> Memorisation:
    """Of features of generated [n, d], held-out [m, d] and training rows [t, d], t >= 2.

    ``auth_pct``: the share of generated rows that are farther from their nearest training row than that one is from its
    own nearest. ``copy_rate``: the share whose nearest training row is nearer than the 1 % quantile of that distance
    among held-out rows. ``mann_whitney_z``: of these distances, generated against held-out; well below 0 is copying.

    Raises:
        InvalidSamples: empty sets, fewer than 2 training rows, NaN or infinity, or rows of different width.
    """
    check_features(fake, real, 1)
    check_features(train, real, 1, side="training")
    train = check_rows(train, "training", 2)
    of_fake, of_real = nearest(fake, train), nearest(real, train)
    limit = of_real.square_distance.sqrt().quantile(COPY_QUANTILE)
    return Memorisation(
        auth_pct=authentic(of_fake, train).double().mean().item(),
        expected_auth_pct=authentic(of_real, train).double().mean().item(),
        copy_rate=(of_fake.square_distance.sqrt() < limit).double().mean().item(),
        mann_whitney_z=mann_whitney_z(of_fake.square_distance, of_real.square_distance),
    )
