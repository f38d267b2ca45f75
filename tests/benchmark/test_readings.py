"""Means over seeds, their intervals, and who beats whom: against scipy, and against the rule itself."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genzoo.benchmark.readings import Reading, beats, difference, over_seeds

VALUES = st.floats(-1e6, 1e6)


def seeds(*values: float, kind: str = "") -> Reading:
    return over_seeds([Reading(value, se=0.1, kind=kind) for value in values])


@given(st.lists(VALUES, min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_mean_over_seeds_has_student_s_interval(values: list[float]) -> None:
    found = seeds(*values)
    assert found.value == pytest.approx(np.mean(values), abs=1e-6) and found.seeds == len(values)
    if stats.sem(values) > 0:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert found.half_width == pytest.approx((high - low) / 2, rel=1e-6, abs=1e-9)


@given(st.lists(VALUES, min_size=2, max_size=5), st.lists(VALUES, min_size=2, max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_difference_over_seeds_has_welch_s_interval(one: list[float], other: list[float]) -> None:
    found = difference(seeds(*one), seeds(*other))
    assert found and found.half_width is not None
    if np.std(one) > 1e-3 and np.std(other) > 1e-3:
        low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
        assert found.value == pytest.approx((low + high) / 2, rel=1e-6, abs=1e-6)
        assert found.half_width == pytest.approx((high - low) / 2, rel=1e-6)


def test_a_single_seed_keeps_the_error_within_its_checkpoint() -> None:
    found = seeds(3.0)
    assert (found.value, found.se, found.seeds) == (3.0, 0.1, 1)
    assert found.half_width == pytest.approx(0.196, rel=1e-3)


@given(a=st.integers(1, 30), b=st.integers(1, 30), s=st.floats(0.01, 9), t=st.floats(0.01, 9))
@settings(max_examples=50, deadline=None)
def test_errors_of_few_degrees_of_freedom_have_welch_s_interval(a: int, b: int, s: float, t: float) -> None:
    """That of two samples whose means have these errors."""
    found = difference(Reading(1.0, se=s, df=a), Reading(2.0, se=t, df=b))
    rows = [stats.norm.ppf((np.arange(n + 1) + 0.5) / (n + 1)) for n in (a, b)]
    one, other = (error * math.sqrt(len(x)) * x / x.std(ddof=1) for x, error in zip(rows, (s, t), strict=True))
    low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert found and found.half_width == pytest.approx((high - low) / 2, rel=1e-6)


def test_a_lead_within_student_s_interval_of_twenty_blocks_is_none() -> None:
    """2.00 standard errors are more than the normal 1.96 and less than 2.02, Student's of 38 degrees of freedom."""
    error = 1 / (2.00 * math.sqrt(2))
    assert beats(Reading(0.0, se=error), Reading(1.0, se=error), "lower")
    assert not beats(Reading(0.0, se=error, df=19), Reading(1.0, se=error, df=19), "lower")


def test_between_two_checkpoints_the_interval_is_normal() -> None:
    found = difference(Reading(1.0, se=0.3), Reading(2.0, se=0.4))
    assert found and found.half_width == pytest.approx(stats.norm.ppf(0.975) * 0.5)


def test_a_checkpoint_s_error_counts_as_known_exactly_beside_seeds() -> None:
    """Welch-Satterthwaite with infinitely many degrees of freedom on one side."""
    sampled, single = seeds(1.0, 2.0, 3.0), Reading(5.0, se=0.2)
    found = difference(sampled, single)
    a, b = np.var([1, 2, 3], ddof=1) / 3, 0.2**2
    assert found and found.half_width == pytest.approx(stats.t.ppf(0.975, (a + b) ** 2 / (a**2 / 2)) * math.sqrt(a + b))


def test_welch_s_interval_covers_as_often_as_it_says() -> None:
    noise = np.random.default_rng(0)
    covered = [
        not difference(seeds(*noise.normal(0, 1, 3)), seeds(*noise.normal(0, 3, 3))).excludes_zero  # type: ignore[union-attr]
        for _ in range(2000)
    ]
    assert 0.94 <= np.mean(covered) <= 0.98  # Welch's is a little wide for three seeds


@given(VALUES, VALUES, st.floats(0, 10), st.floats(0, 10))
@settings(max_examples=100, deadline=None)
def test_to_beat_is_to_be_better_by_more_than_the_interval(a: float, b: float, s: float, t: float) -> None:
    one, other = Reading(a, se=s), Reading(b, se=t)
    lower = beats(one, other, "lower")
    assert lower == beats(other, one, "higher") and not (lower and beats(other, one, "lower"))
    if lower:
        assert s > 0 and t > 0 and b - a > 1.9599 * math.hypot(s, t)
    if s > 0 and t > 0 and b - a > max(1.96 * math.hypot(s, t), 1e-9 * abs(a)):
        assert lower


def test_without_a_value_or_an_error_or_of_another_kind_nothing_is_beaten() -> None:
    good, bad = Reading(0.0, se=0.1), Reading(9.0, se=0.1)
    assert beats(good, bad, "lower")
    for other in (
        Reading(None),
        Reading(9.0),
        Reading(9.0, se=0.0),
        Reading(9.0, se=-1.0),
        Reading(9.0, 0.1, kind="b"),
    ):
        assert not beats(good, other, "lower")


def test_seeds_that_all_agree_have_an_interval_of_no_width() -> None:
    assert seeds(8, 8, 8).half_width == 0.0
    assert beats(seeds(8, 8, 8), seeds(7, 7, 7), "higher")
    assert not beats(seeds(0.1, 0.2, 0.3), seeds(0.3, 0.2, 0.1), "lower")


def test_seeds_of_different_kinds_have_no_mean() -> None:
    found = over_seeds([Reading(1.0, kind="exact"), Reading(2.0, kind="lower bound")])
    assert found.value is None and "different kinds" in found.note


def test_a_seed_without_a_value_is_left_out_of_the_mean_and_says_why() -> None:
    found = over_seeds([Reading(1.0), Reading(None, note="it is nan"), Reading(3.0)])
    assert (found.value, found.seeds, found.note) == (2.0, 2, "it is nan")
    assert over_seeds([Reading(None, note="it is nan")] * 2).note == "it is nan"


def test_what_is_too_large_to_square_is_no_value() -> None:
    found = over_seeds([Reading(1e300), Reading(-1e300)])
    assert found.value is None and "beyond 1e100" in found.note
    assert over_seeds([Reading(1.0, se=1e200)]).known_error is None
