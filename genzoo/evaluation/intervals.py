"""Standard errors and 95 % intervals of metrics."""

import math

from torch import Tensor

from genzoo.evaluation.frechet import Estimate, Jackknife
from genzoo.evaluation.record import Better, Metric, measured

NORMAL_95 = 1.960
STUDENT_95_OF_20 = 2.093  # 19 degrees of freedom, for 20 deleted blocks


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
    """A distance with the Student interval of its 20 deleted blocks; lower is better."""
    return around(jackknife.estimate, "lower", f"{how}; {jackknife.how}", t=STUDENT_95_OF_20, expected=expected)


def share(inside: Tensor, how: str) -> Metric:
    """The share of true rows of ``inside`` [n], which must be independent; higher is better."""
    value = inside.double().mean().item()
    return measured(value, "higher", how, interval=wilson(value, len(inside)))


def failed(better: Better, how: str, reason: str) -> Metric:
    """A metric that could not be computed; the reason as one line."""
    return Metric(value=None, better=better, how=how, status="failed", reason=" ".join(reason.split()))
