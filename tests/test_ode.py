"""The adaptive solver against closed forms and scipy's, and its order of convergence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from torch import Tensor

from genzoo.errors import SolverFailed
from genzoo.ode import dormand_prince, integrate


def rotate(t: float, y: Tensor) -> Tensor:
    """y(t) = (cos t, -sin t) from (1, 0)."""
    return torch.stack([y[:, 1], -y[:, 0]], 1)


def lorenz(t: float, y: Tensor) -> Tensor:
    a, b, c = y.unbind(-1)
    return torch.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], -1)


START = torch.tensor([[1.0, 0.0]], dtype=torch.float64)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_the_error_is_near_the_tolerance(tolerance: float) -> None:
    found = integrate(rotate, START, 0.0, 10.0, rtol=tolerance, atol=tolerance)
    wanted = torch.tensor([[math.cos(10), -math.sin(10)]], dtype=torch.float64)
    assert (found - wanted).abs().max() < 30 * tolerance


def test_as_many_calls_as_scipy_for_the_same_solution() -> None:
    calls = [0]

    def counted(t: float, y: Tensor) -> Tensor:
        calls[0] += 1
        return lorenz(t, y)

    start = [1.0, 1.0, 1.0]
    mine = integrate(counted, torch.tensor([start], dtype=torch.float64), 0.0, 3.0, rtol=1e-9, atol=1e-9)
    theirs = solve_ivp(
        lambda t, y: lorenz(t, torch.from_numpy(y)).numpy(), (0, 3), start, method="RK45", rtol=1e-9, atol=1e-9
    )
    assert np.abs(mine.numpy()[0] - theirs.y[:, -1]).max() < 1e-5
    assert calls[0] < 1.1 * theirs.nfev


def test_halving_the_step_divides_the_error_by_thirty_two() -> None:
    """Order 5; the error of one step falls by 2^6, of the fourth-order estimate by 2^5."""

    def errors(num_steps: int) -> tuple[float, float]:
        y, h, first, estimate = START, 2.0 / num_steps, rotate(0.0, START), torch.zeros(())
        for i in range(num_steps):
            y, first, estimate = dormand_prince(rotate, i * h, y, first, h)
        wanted = torch.tensor([[math.cos(2), -math.sin(2)]], dtype=torch.float64)
        return (y - wanted).norm().item(), estimate.norm().item()

    (coarse, its_estimate), (fine, finer_estimate) = errors(16), errors(32)
    assert math.log2(coarse / fine) == pytest.approx(5, abs=0.2)
    assert math.log2(its_estimate / finer_estimate) == pytest.approx(5, abs=0.2)


@given(rate=st.floats(-4, 4), start=st.floats(-2, 2), end=st.floats(-2, 2))
@settings(max_examples=40, deadline=None)
def test_exponentials_forwards_and_backwards(rate: float, start: float, end: float) -> None:
    found = integrate(lambda t, y: rate * y, torch.ones(1, 1, dtype=torch.float64), start, end, rtol=1e-8, atol=1e-8)
    assert found.item() == pytest.approx(math.exp(rate * (end - start)), rel=1e-5, abs=1e-6)


def test_every_row_is_within_the_tolerance_not_only_the_mean() -> None:
    """One fast row among 999 that stand still."""
    rates = torch.zeros(1000, 1, dtype=torch.float64)
    rates[0] = -50.0
    found = integrate(lambda t, y: rates * y + 0 * t, torch.ones_like(rates), 0.0, 0.1, rtol=1e-6, atol=1e-6)
    assert found[0].item() == pytest.approx(math.exp(-5), abs=1e-5)
    assert torch.equal(found[1:], torch.ones_like(found[1:]))


def test_the_slope_may_depend_on_time_alone() -> None:
    found = integrate(lambda t, y: torch.full_like(y, 3 * t**2), torch.zeros(2, 1, dtype=torch.float64), 0.0, 2.0)
    assert torch.allclose(found, torch.full_like(found, 8.0), atol=1e-6)


def test_float32_stays_float32() -> None:
    found = integrate(rotate, START.float(), 0.0, 1.0)
    assert found.dtype == torch.float32
    assert found[0, 0].item() == pytest.approx(math.cos(1), abs=1e-4)


@pytest.mark.parametrize(
    "slope", [lambda t, y: y**2, lambda t, y: y * math.nan, lambda t, y: y * math.inf], ids=["pole", "nan", "inf"]
)
def test_what_cannot_be_followed_is_said(slope: object) -> None:
    """dy/dt = y^2 from 1 has a pole at t = 1."""
    with pytest.raises(SolverFailed, match="the steps of the solver vanish at"):
        integrate(slope, torch.ones(1, 1, dtype=torch.float64), 0.0, 1.5)
