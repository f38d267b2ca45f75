"""Intervals of metrics, against scipy."""

import math

import pytest
import torch
from scipy import stats

from genzoo.evaluation.frechet import Jackknife, fd_jackknife
from genzoo.evaluation.intervals import NORMAL_95, degrees_of_freedom, of_blocks, student, wilson


@pytest.mark.parametrize("df", [1, 1.01, 1.5, 2, 2.7, 3, 4.4, 9, 19, 133.3, 1e4, 1e6, math.inf])
def test_student_s_quantile_is_scipy_s(df: float) -> None:
    assert student(df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-8)


def test_degrees_of_freedom_are_read_off_a_quantile() -> None:
    for df in range(1, 60):
        assert degrees_of_freedom(stats.t.ppf(0.975, df)) == df
    assert (degrees_of_freedom(3.182), degrees_of_freedom(2.093)) == (3, 19)  # as a table prints them
    for t in (0.5, 1.96, NORMAL_95):
        assert degrees_of_freedom(t) == math.inf


@pytest.mark.parametrize(("rows", "blocks"), [(60, 20), (20, 20), (7, 7), (3, 3)])
def test_a_jackknife_has_the_degrees_of_freedom_of_its_blocks(rows: int, blocks: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(rows, 2, generator=generator), torch.randn(rows, 2, generator=generator)
    found = of_blocks(fd_jackknife(x, y), "made up")
    half = (found.interval[1] - found.interval[0]) / 2
    assert half / found.se == pytest.approx(stats.t.ppf(0.975, blocks - 1), rel=1e-6)


def test_blocks_that_agree_have_an_interval_of_no_width() -> None:
    found = of_blocks(Jackknife(1.0, torch.ones(20, dtype=torch.float64), "made up"), "made up")
    assert (found.se, found.interval) == (0.0, (1.0, 1.0))


@pytest.mark.parametrize(("hits", "n"), [(0, 50), (1, 50), (25, 50), (50, 50), (9900, 10_000)])
def test_wilson_s_interval_is_scipy_s(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert wilson(hits / n, n) == pytest.approx(tuple(expected), abs=1e-12)
