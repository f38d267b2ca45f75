"""Standard errors and 95 % intervals of metrics.

Reference: The Probable Error of a Mean (Student, 1908).
"""

import math
import statistics
from bisect import bisect_left
from functools import cache

import numpy as np
from torch import Tensor

from genzoo.evaluation.frechet import Estimate, Jackknife
from genzoo.evaluation.parts import Better, Metric, measured

NORMAL_95 = statistics.NormalDist().inv_cdf(0.975)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)


@cache
def student(df: float) -> float:
    """The 0.975 quantile of Student's t with ``df`` >= 1 degrees of freedom, which need not be whole.

    With T = sqrt(df) tan(a), P(|T| < t) is the integral of cos(a)^(df - 1) up to atan(t / sqrt(df)) over that up to
    pi / 2. It is concave in t, so Newton's steps from the normal quantile rise to the root.
    """
    if df > 1e6:
        return NORMAL_95
    whole = math.sqrt(math.pi) / 2 * math.exp(math.lgamma(df / 2) - math.lgamma((df + 1) / 2))
    t = NORMAL_95
    for _ in range(60):
        angle = math.atan(t / math.sqrt(df))
        inside = angle / 2 * float(_WEIGHTS @ np.cos(angle * (_NODES + 1) / 2) ** (df - 1)) / whole
        slope = (1 + t * t / df) ** (-(df + 1) / 2) / (math.sqrt(df) * whole)
        step = (0.95 - inside) / slope
        t += step
        if abs(step) < 1e-12 * t:
            break
    return t


def degrees_of_freedom(t: float) -> float:
    """The whole number below 100 whose :func:`student` is ``t``, to the digits of a printed table; else infinity."""
    df = bisect_left(range(1, 100), -1.0003 * t, key=lambda whole: -student(whole)) + 1
    return df if df < 100 else math.inf


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share of n independent trials.

    Reference: Probable Inference, the Law of Succession, and Statistical Inference (Wilson, 1927).
    """
    z2 = NORMAL_95**2 / n
    middle, half = share + z2 / 2, math.sqrt(z2 * (share * (1 - share) + z2 / 4))
    return (max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2)))


def around(
    estimate: Estimate, better: Better, how: str, *, t: float = NORMAL_95, expected: float | None = None
) -> Metric:
    """The metric with the interval value ± t se."""
    half = t * estimate.se
    interval = (estimate.value - half, estimate.value + half)
    return measured(estimate.value, better, how, se=estimate.se, interval=interval, expected=expected)


def of_blocks(jackknife: Jackknife, how: str, *, expected: float | None = None) -> Metric:
    """A distance with the Student interval of its deleted blocks, 20 unless rows are fewer; lower is better."""
    t = student(len(jackknife.deleted) - 1)
    return around(jackknife.estimate, "lower", f"{how}; {jackknife.how}", t=t, expected=expected)


def share(inside: Tensor, how: str) -> Metric:
    """The share of true rows of ``inside`` [n], which must be independent; higher is better."""
    value = inside.double().mean().item()
    return measured(value, "higher", how, interval=wilson(value, len(inside)))


def failed(better: Better, how: str, reason: str) -> Metric:
    """A metric that could not be computed; the reason as one line."""
    return Metric(value=None, better=better, how=how, status="failed", reason=" ".join(reason.split()))
