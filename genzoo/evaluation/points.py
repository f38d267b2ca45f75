"""Metrics of points in the plane whose true density is known, each beside its floor: the mean over 20 fresh draws.

References: A Kernel Two-Sample Test (Gretton et al., 2012) and B-tests (Zaremba et al., 2013) for the discrepancy in
blocks; Energy Statistics: A Class of Statistics Based on Distances (Székely and Rizzo, 2013); Sliced and Radon
Wasserstein Barycenters of Measures (Bonneel et al., 2015) for the sliced distance.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import check_rows, cut
from genzoo.evaluation.frechet import Estimate
from genzoo.evaluation.intervals import NORMAL_95, around, student, wilson
from genzoo.evaluation.mmd import KernelSums
from genzoo.evaluation.parts import Better, Likelihood, Metric, measured

NUM_DIRECTIONS = 512
NUM_FLOOR_DRAWS = 20
SHARE_OF_A_COVERED_MODE = 0.2
POINTS_IN_BLOCK = 500
BLOCKS_OF_A_FLOOR_DRAW = 4
MIN_POINTS = 10
REFERENCE_SEED = 20_000
NUM_ENTROPY_DRAWS = 100_000
PairKernel = Callable[[Tensor, Tensor], Tensor]


class KnownDensity(Protocol):
    """A density in the plane, with what the metrics ask of it."""

    def __hash__(self) -> int: ...

    @property
    def num_modes(self) -> int: ...

    @property
    def mode_weights(self) -> Tensor:
        """The probability of each mode, [num_modes]."""

    @property
    def threshold_99(self) -> float:
        """The log-density at the edge of the 99 % highest-density region."""

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Of the kernels of the discrepancy."""

    def log_prob(self, x: Tensor) -> Tensor:
        """[n] nats."""

    def mode_of(self, x: Tensor) -> Tensor:
        """The nearest mode, [n] int64."""

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Independent draws, [n, 2]."""


def modes_covered(modes: Tensor, good: Tensor, density: KnownDensity) -> int:
    """The number of modes that hold at least a fifth of the good points expected of them (n times their weight)."""
    held = torch.bincount(modes[good], minlength=density.num_modes)
    return int((held >= SHARE_OF_A_COVERED_MODE * len(modes) * density.mode_weights).sum())


def mode_total_variation(modes: Tensor, density: KnownDensity) -> float:
    """1/2 sum_k |share of points nearest to mode k - its weight|: 0 is balanced, 1 is all in the wrong place."""
    shares = torch.bincount(modes, minlength=density.num_modes) / len(modes)
    return 0.5 * (shares - density.mode_weights).abs().sum().item()


def _projections(x: Tensor) -> np.ndarray:
    """The points along each of 512 equally spaced directions, sorted, [512, n]."""
    angle = math.pi * (torch.arange(NUM_DIRECTIONS) + 0.5) / NUM_DIRECTIONS
    directions = torch.stack([angle.cos(), angle.sin()], 1)
    return np.sort((directions @ x.float().T).numpy(), axis=1)


def _rms(a: np.ndarray, b: np.ndarray) -> float:
    return math.sqrt(np.square(np.subtract(a, b, dtype=np.float64)).mean())


def sliced_w2(x: Tensor, y: Tensor) -> float:
    """The 2-Wasserstein distance of projections, root mean square over 512 fixed directions; [n, 2] both."""
    return _rms(_projections(x), _projections(y))


def _kernel(x: Tensor, y: Tensor, bandwidths: Sequence[float]) -> Tensor:
    """The mean of Gaussian kernels exp(-|x - y|^2 / 2 b^2), [n, m] float32."""
    square = (x[:, None, 0] - y[:, 0]).square_()
    square += (x[:, None, 1] - y[:, 1]).square_()
    # denormal numbers would cost ten times as much: exp(-80) is nothing either
    return torch.stack([(square * (-0.5 / b**2)).clamp_(min=-80).exp_() for b in bandwidths]).mean(0)


def _minus_distance(x: Tensor, y: Tensor) -> Tensor:
    """-|x - y|, [n, m] float64: points that ran far away must not overflow."""
    square = (x[:, None, 0].double() - y[:, 0].double()).square_()
    square += (x[:, None, 1].double() - y[:, 1].double()).square_()
    return square.sqrt_().neg_()


def _u_statistic(x: Tensor, y: Tensor, kernel: PairKernel) -> Estimate:
    xx, yy, xy = (kernel(a, b) for a, b in ((x, x), (y, y), (x, y)))
    within_x, within_y = (k.sum(1, dtype=torch.float64) - k.diagonal() for k in (xx, yy))
    return KernelSums(within_x, within_y, xy.sum(1, dtype=torch.float64), xy.sum(0, dtype=torch.float64)).mmd2()


def _in_blocks(x: Tensor, y: Tensor, kernel: PairKernel, max_blocks: int | None) -> Estimate:
    """The mean over disjoint blocks of 500 points, with its error (one block: a jackknife)."""
    num_blocks = max(1, len(x) // POINTS_IN_BLOCK)
    pairs = zip(x.float().tensor_split(num_blocks), y.float().tensor_split(num_blocks), strict=True)
    blocks = [_u_statistic(a, b, kernel) for a, b in islice(pairs, max_blocks)]
    if len(blocks) == 1:
        return blocks[0]
    values = torch.tensor([block.value for block in blocks], dtype=torch.float64)
    return Estimate(values.mean().item(), (values.std() / math.sqrt(len(values))).item())


def mmd2(x: Tensor, y: Tensor, bandwidths: Sequence[float], *, max_blocks: int | None = None) -> Estimate:
    """The unbiased squared MMD of [n, 2] both: a mean over disjoint blocks of 500 points, with its error."""
    return _in_blocks(x, y, partial(_kernel, bandwidths=bandwidths), max_blocks)


def energy_distance(x: Tensor, y: Tensor, *, max_blocks: int | None = None) -> Estimate:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased, of [n, 2] both: a mean over disjoint blocks of 500, with its error.

    It is the squared MMD under the kernel -|x - y|, so it needs no bandwidth.
    """
    return _in_blocks(x, y, _minus_distance, max_blocks)


@dataclass(frozen=True)
class _Reference:
    """``n`` fixed draws of the density, and their sorted projections."""

    density: KnownDensity
    points: Tensor
    projections: np.ndarray

    def scores(self, x: Tensor, *, max_blocks: int | None = None) -> dict[str, Estimate]:
        """Every metric of ``x`` [n, 2], with its standard error (NaN where there is none)."""
        good = self.density.log_prob(x) >= self.density.threshold_99
        modes = self.density.mode_of(x)
        return {
            "modes_covered": Estimate(modes_covered(modes, good, self.density), math.nan),
            "good_points": Estimate(good.double().mean().item(), math.nan),
            "mode_tv": Estimate(mode_total_variation(modes, self.density), math.nan),
            "sliced_w2": Estimate(_rms(_projections(x), self.projections), math.nan),
            "mmd2": mmd2(x, self.points, self.density.bandwidths, max_blocks=max_blocks),
            "energy_distance": energy_distance(x, self.points, max_blocks=max_blocks),
        }


def _draw(density: KnownDensity, n: int, seed: int) -> Tensor:
    return density.sample(n, Generator().manual_seed(seed))


@lru_cache(maxsize=2)
def _reference(density: KnownDensity, n: int) -> _Reference:
    points = _draw(density, n, REFERENCE_SEED)
    return _Reference(density, points, _projections(points))


@lru_cache(maxsize=16)
def floors(density: KnownDensity, n: int) -> dict[str, float]:
    """What ``n`` points of the true density score, by metric: the mean over 20 draws with fixed seeds."""
    draws = (_draw(density, n, REFERENCE_SEED + 1 + i) for i in range(NUM_FLOOR_DRAWS))
    scores = [_reference(density, n).scores(x, max_blocks=BLOCKS_OF_A_FLOOR_DRAW) for x in draws]
    return {name: math.fsum(s[name].value for s in scores) / len(scores) for name in scores[0]}


def _share_of_region(floor: Mapping[str, float]) -> float:
    """0.99; but 1 of a density that is the same everywhere, whose highest-density region is all of it."""
    return 1.0 if floor["good_points"] == 1 else 0.99


def point_metrics(fake: Tensor, density: KnownDensity) -> dict[str, Metric]:
    """Every metric of points [n, 2] against the density they should have.

    Raises:
        InvalidSamples: fewer than 10 points, NaN or infinity, or not [n, 2].
    """
    fake = check_rows(fake, "generated", MIN_POINTS).cpu()
    if fake.shape[1] != 2:
        raise InvalidSamples(f"points have {fake.shape[1]} coordinates; the known densities are in the plane")
    scores, floor = _reference(density, len(fake)).scores(fake), floors(density, len(fake))
    widths, blocks = ", ".join(f"{b:.3g}" for b in density.bandwidths), f"mean over blocks of {POINTS_IN_BLOCK}"
    described: dict[str, tuple[Better, str, float | None]] = {
        "modes_covered": ("higher", "modes that hold 20 % of the good points expected of them", density.num_modes),
        "good_points": ("higher", "share inside the true 99 % highest-density region", _share_of_region(floor)),
        "mode_tv": ("lower", "total variation of the histogram of nearest modes", None),
        "sliced_w2": ("lower", f"{NUM_DIRECTIONS} fixed directions, against {len(fake)} draws", None),
        "mmd2": ("lower", f"unbiased, Gaussian kernels of widths {widths}, {blocks}", 0.0),
        "energy_distance": ("lower", f"2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased, {blocks}", 0.0),
    }
    errors = {name: score.se for name, score in scores.items() if name != "good_points"}  # Wilson's interval has none
    intervals = _intervals(scores, len(fake))
    return {
        name: measured(
            scores[name].value,
            better,
            how,
            se=errors.get(name),
            interval=intervals.get(name),
            floor=floor[name],
            expected=expected,
        )
        for name, (better, how, expected) in described.items()
    }


def _intervals(scores: Mapping[str, Estimate], n: int) -> dict[str, tuple[float, float]]:
    """Of the share of ``n`` points, Wilson's; of means over several blocks, Student's."""
    num_blocks = n // POINTS_IN_BLOCK
    t = student(num_blocks - 1) if num_blocks > 1 else NORMAL_95
    over_blocks = {name: scores[name] for name in ("mmd2", "energy_distance")}
    found = {name: (score.value - t * score.se, score.value + t * score.se) for name, score in over_blocks.items()}
    return found | {"good_points": wilson(scores["good_points"].value, n)}


def kl_from(
    likelihood: Likelihood, density: KnownDensity, test: Tensor | None = None, *, seed: int = 0
) -> Metric | None:
    """KL(data || model) = E[-log p_model] - E[-log p_data], in nats; None where the model has no likelihood.

    The first term is ``likelihood``. The second, the entropy, is the mean over the same examples, which takes most of
    the noise out of the difference: the ``likelihood.n`` of ``test`` [m, 2] that ``seed`` chose (all, if there are as
    many). The standard error is then a bound, the sum of both: nothing is known of how they vary together. Without
    ``test`` the entropy comes from 100,000 fixed draws, independent of the examples.
    """
    if likelihood.value is None or likelihood.unit != "nats":
        return None
    points = _draw(density, NUM_ENTROPY_DRAWS, REFERENCE_SEED) if test is None else cut(test, likelihood.n, seed)
    surprise, se = -density.log_prob(points.cpu()).double(), math.nan if likelihood.se is None else likelihood.se
    entropy = Estimate(surprise.mean().item(), (surprise.std() / math.sqrt(len(surprise))).item())
    how = f"likelihood ({likelihood.kind}) - entropy of {len(points)} "
    if test is None:
        se, how = math.hypot(se, entropy.se), how + "fixed draws"
    else:
        se, how = se + entropy.se, how + "of the same examples; se at most"
    return around(Estimate(likelihood.value - entropy.value, se), "lower", how, expected=0.0)
