"""The metrics of two sets of features, each with its error, its value under a perfect model and how it was made."""

import math

from torch import Tensor

from genzoo.evaluation.checks import check_features
from genzoo.evaluation.frechet import Estimate, fd, fd_debiased
from genzoo.evaluation.pairs import K_CLOSED, K_STRICT, PairStatistics, pair_statistics
from genzoo.evaluation.record import Metric, measured

NORMAL_95 = 1.960
STUDENT_95_OF_20 = 2.093  # 19 degrees of freedom, for 20 deleted blocks
LOW_N = 2000


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share of n independent trials.

    Reference: Probable Inference, the Law of Succession, and Statistical Inference (Wilson, 1927).
    """
    z2 = NORMAL_95**2 / n
    middle, half = share + z2 / 2, math.sqrt(z2 * (share * (1 - share) + z2 / 4))
    return (max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2)))


def expected_coverage(num_real: int, num_fake: int, k: int = K_STRICT) -> float:
    """Coverage of a perfect model: 1 - prod_{i < k} (N - 1 - i) / (N + M - 1 - i), exactly, whatever the distribution.

    A real point is missed when its k nearest among the N - 1 other real and M generated points are all real.
    """
    return 1 - math.prod((num_real - 1 - i) / (num_real + num_fake - 1 - i) for i in range(k))


def _around(estimate: Estimate, how: str, t: float, expected: float | None = None) -> Metric:
    half = t * estimate.se
    interval = (estimate.value - half, estimate.value + half)
    return measured(estimate.value, "lower", how, se=estimate.se, interval=interval, expected=expected)


def _share(inside: Tensor, how: str, given: str) -> Metric:
    """A share of rows; its interval takes the other set's balls as given, so the rows are independent."""
    share = inside.double().mean().item()
    how = f"{how}; Wilson interval given the {given} balls"
    return measured(share, "higher", how, interval=wilson(share, len(inside)))


def _density(balls: Tensor) -> Metric:
    """Number of real balls around a fake, over k; 1 for a perfect model, exactly."""
    per_fake = balls.double() / K_STRICT
    se = (per_fake.std() / math.sqrt(len(balls))).item()
    how = f"k = {K_STRICT}, strict <; se over fakes, given the real balls"
    half = NORMAL_95 * se
    value = per_fake.mean().item()
    return measured(value, "higher", how, se=se, interval=(value - half, value + half), expected=1.0)


def _neighbours(pairs: PairStatistics) -> dict[str, Metric]:
    strict, closed = f"k = {K_STRICT}, strict <", f"k = {K_CLOSED}, <="
    sizes = len(pairs.covered), len(pairs.balls_around_fakes)
    return {
        "precision": _share(pairs.balls_around_fakes > 0, strict, "real"),
        "recall": _share(pairs.recalled, strict, "fake"),
        "density": _density(pairs.balls_around_fakes),
        "coverage": measured(
            pairs.covered.double().mean().item(), "higher", strict, expected=expected_coverage(*sizes)
        ),
        "precision_k3": _share(pairs.precise_k3, closed, "real"),
        "recall_k3": _share(pairs.recalled_k3, closed, "fake"),
    }


def feature_metrics(fake: Tensor, real: Tensor, *, seed: int = 0, strata: Tensor | None = None) -> dict[str, Metric]:
    """Every metric of features [n, d] against [m, d]: fd, fd_debiased, kid, precision, recall, density, coverage, ...

    ``strata`` are the classes of the real rows, [m], where those were drawn class by class.

    Raises:
        InvalidSamples: fewer than 6 rows, NaN or infinity, or sets of different width.
    """
    fake, real = check_features(fake, real, K_STRICT + 1)
    size = f"{len(fake)} generated against {len(real)} real"
    pairs = pair_statistics(fake, real)
    blocks = "jackknife over 20 blocks of fakes"
    return {
        "fd": _around(fd(fake, real, seed=seed), f"{size}; {blocks}", STUDENT_95_OF_20),
        "fd_debiased": _around(
            fd_debiased(fake, real, seed=seed, strata=strata),
            f"2 FD_N - mean FD of two {'stratified ' if strata is not None else ''}halves; {size}; {blocks}",
            STUDENT_95_OF_20,
            expected=0.0,
        ),
        "kid": _around(
            pairs.kernel_sums.mmd2(),
            f"unbiased, cubic kernel, all rows; {size}; jackknife over rows",
            NORMAL_95,
            expected=0.0,
        ),
        **_neighbours(pairs),
    }


def size_warnings(n: int) -> list[str]:
    """What a reader must know when ``n`` is small."""
    return [] if n >= LOW_N else [f"low_n: {n} samples a side; the bias of fd is of order 1/N, so rank by fd_debiased"]
