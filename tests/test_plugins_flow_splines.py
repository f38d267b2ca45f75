"""Rational-quadratic splines: through their knots, increasing, undone, with the slope that differences find."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq
from torch import Tensor

from genzoo_flow.splines import SMALLEST_SLOPE, Spline

REACH, BINS = 3.0, 5
numbers = arrays(np.float64, 3 * BINS - 1, elements=st.floats(-8, 8))


def spline(numbers: np.ndarray, n: int) -> Spline:
    """One spline for each of n points."""
    return Spline.of(torch.from_numpy(numbers).expand(n, -1), REACH)


def grid(n: int = 401, beyond: float = 1.5) -> Tensor:
    return torch.linspace(-beyond * REACH, beyond * REACH, n, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(numbers)
def test_it_increases_from_end_to_end_and_is_the_identity_outside(numbers: np.ndarray) -> None:
    x = grid()
    y, log_slope = spline(numbers, len(x))(x)
    assert (y.diff() > 0).all() and log_slope.isfinite().all()
    outside = x.abs() >= REACH
    assert torch.equal(y[outside], x[outside]) and (log_slope[outside] == 0).all()


@settings(max_examples=50, deadline=None)
@given(numbers)
def test_its_inverse_undoes_it(numbers: np.ndarray) -> None:
    x = grid()
    s = spline(numbers, len(x))
    assert torch.allclose(s.inverse(s(x)[0]), x, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_it_goes_through_its_knots_with_its_slopes(numbers: np.ndarray) -> None:
    one = spline(numbers, 1)
    x, y = one.knots_x[0, 1:-1], one.knots_y[0, 1:-1]
    found, log_slope = spline(numbers, len(x))(x)
    assert torch.allclose(found, y, atol=1e-9)
    assert torch.allclose(log_slope.exp(), one.slopes[0, 1:-1], rtol=1e-4)
    assert (one.slopes >= SMALLEST_SLOPE).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_slope_is_that_of_differences_and_the_inverse_that_of_root_finding(seed: int) -> None:
    numbers = np.random.default_rng(seed).normal(size=3 * BINS - 1)
    x, h = grid(101, 1.1), 1e-6
    s = spline(numbers, len(x))
    differences = (s(x + h)[0] - s(x - h)[0]) / (2 * h)
    assert torch.allclose(s(x)[1].exp(), differences, rtol=1e-4)
    one = spline(numbers, 1)
    for y in np.linspace(-2.9, 2.9, 15):
        root = brentq(lambda x, y=y: one(torch.tensor([x], dtype=torch.float64))[0].item() - y, -REACH, REACH)
        assert one.inverse(torch.tensor([y], dtype=torch.float64)).item() == pytest.approx(root, abs=1e-9)


def test_with_gentle_slopes_it_is_close_to_the_cubic_through_the_same_knots() -> None:
    numbers = 0.2 * np.random.default_rng(0).normal(size=3 * BINS - 1)
    one, x = spline(numbers, 1), grid(101, 0.99)
    cubic = CubicHermiteSpline(one.knots_x[0], one.knots_y[0], one.slopes[0])
    assert np.abs(spline(numbers, len(x))(x)[0].numpy() - cubic(x.numpy())).max() < 0.02


def test_zeros_make_it_the_identity() -> None:
    x = grid()
    y, log_slope = spline(np.zeros(3 * BINS - 1), len(x))(x)
    assert torch.allclose(y, x) and torch.allclose(log_slope, torch.zeros_like(x), atol=1e-9)
