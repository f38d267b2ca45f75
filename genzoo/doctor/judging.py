"""Whether a metric went where it must: further than chance where it must move, no further where it must not."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from genzoo.doctor.claims import CLAIMS, PERFECT, Claim, Direction, claim
from genzoo.evaluation.intervals import NORMAL_95, wilson
from genzoo.evaluation.pairs import K_STRICT
from genzoo.evaluation.parts import Metric

NUM_ERRORS = 3.0
"""Of a hundred claims that hold, one in four rounds would seem not to; at two standard errors, five in each."""
SHARES = {"coverage": (1.0, K_STRICT), "copy_rate": (1.0, 1), "auth_pct": (1.0, 1)}
"""Shares that come without an error: what is all, and how many rows share one fate (neighbours lie in one ball)."""
Metrics = Mapping[str, Metric]


@dataclass(frozen=True)
class Row:
    """One metric in one case.

    ``reference`` is its value in the perfect case (in that itself, the expected value), and a difference of up to
    ``margin`` is chance. ``expected`` and ``verdict`` are None where nothing is claimed; ``why`` is the claim's reason,
    or that of a missing value.
    """

    case: str
    metric: str
    value: float | None
    reference: float | None
    margin: float
    expected: Direction | None
    verdict: bool | None
    why: str

    def __str__(self) -> str:
        if self.value is None or self.reference is None:
            return f"{self.metric}, {self.case}: no value ({self.why})"
        beside = f"{self.reference:.4g} ± {self.margin:.2g}"
        return f"{self.metric}, {self.case}: {self.value:.4g} beside {beside} is not {self.expected}: {self.why}"


def judge_perfect(case: str, found: Metrics, n: int) -> list[Row]:
    """The rows of the perfect case, whose ``n`` images must score what theory expects, where it knows."""
    return [_of_perfect(case, name, metric, n) for name, metric in found.items()]


def judge(case: str, found: Metrics, perfect: Metrics, n: int) -> list[Row]:
    """The rows of another case, of ``n`` images: all metrics, and those that are claimed and were not computed."""
    claimed = [name for each in CLAIMS.get(case, ()) for name in each.metrics]
    return [
        _row(case, name, found.get(name), perfect.get(name), claim(case, name), n)
        for name in dict.fromkeys([*found, *claimed])
    ]


def _of_perfect(case: str, name: str, metric: Metric, n: int) -> Row:
    if metric.value is None:
        return Row(case, name, None, None, 0.0, Direction.LEVEL, False, str(metric.reason))
    if metric.expected is None:
        return Row(case, name, metric.value, None, 0.0, None, None, "")
    margin = NUM_ERRORS * _error(name, metric, n)
    verdict = _gain(metric, metric.expected) >= -margin
    return Row(case, name, metric.value, metric.expected, margin, Direction.LEVEL, verdict, PERFECT)


def _row(case: str, name: str, metric: Metric | None, perfect: Metric | None, made: Claim | None, n: int) -> Row:
    expected, why = (made.direction, made.why) if made else (None, "")
    if metric is None or perfect is None or metric.value is None or perfect.value is None:
        reasons = [each.reason for each in (metric, perfect) if each and each.reason]
        return Row(case, name, None, None, 0.0, expected, False if made else None, *reasons[:1] or ["not computed"])
    margin = 0.0 if made and made.exact else _margin(name, metric, perfect, n)
    gain = _gain(metric, perfect.value)
    moved = Direction.LEVEL if abs(gain) <= margin else Direction.BETTER if gain > 0 else Direction.WORSE
    verdict = moved is expected if made else None
    return Row(case, name, metric.value, perfect.value, margin, expected, verdict, why)


def _gain(metric: Metric, reference: float) -> float:
    """How much better than ``reference``."""
    assert metric.value is not None
    return (metric.value - reference) * (1 if metric.better == "higher" else -1)


def _margin(name: str, metric: Metric, perfect: Metric, n: int) -> float:
    """Three standard errors of the difference.

    A sliced distance has none. It obeys the triangle inequality: two perfect sets' distances to the test set differ by
    no more than their distance to each other, which has the same law as either; so that is its margin.
    """
    if name == "sliced_w2":
        return perfect.value or 0.0
    return NUM_ERRORS * math.hypot(_error(name, metric, n), _error(name, perfect, n))


def _error(name: str, metric: Metric, n: int) -> float:
    """The standard error: as the metric gives it, or from its 95 % interval, or known; 0 of a plain count."""
    if metric.se is not None:
        return metric.se
    if metric.interval is not None:
        return _from_interval(metric.interval)
    if name in SHARES and metric.value is not None:
        return _of_share(metric.value, n, *SHARES[name])
    return 1.0 if name == "nearest_train_z" else 0.0  # it is a difference in units of its standard error


def _from_interval(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / (2 * NORMAL_95)


def _of_share(value: float, n: int, whole: float, together: int) -> float:
    inside = min(max(value / whole, 0.0), 1.0)  # a broken metric may say anything
    return whole * math.sqrt(together) * _from_interval(wilson(inside, n))
