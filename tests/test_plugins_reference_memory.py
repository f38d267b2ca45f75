"""What remembers: the kernel density against scipy and brute force, and the copycat, which is found out."""

import math

import numpy as np
import pytest
import torch
from known_data import pictures, ring
from scipy import stats
from scipy.optimize import minimize_scalar
from torch import Tensor

from genzoo.evaluation.copies import copy_metrics
from genzoo.images import quantise
from genzoo.protocols import ImageSet
from genzoo_reference.memory import KDE, Copycat, leave_one_out


def white(n: int) -> Tensor:
    """Points [n, 2] whose sample covariance is the identity, so that scipy's kernels are round."""
    x = ring(n).double()
    x = x - x.mean(0)
    root = torch.linalg.cholesky(x.T @ x / (n - 1))
    return torch.linalg.solve_triangular(root, x.T, upper=False).T.float()


@pytest.mark.parametrize("bandwidth", [0.05, 0.5])
def test_a_kernel_density_is_scipy_s(bandwidth: float) -> None:
    x, at = white(300), 2 * torch.randn(50, 2)
    model = KDE((2,), memory=300, bandwidth=bandwidth)
    model.fit(x, None)
    wanted = stats.gaussian_kde(x.numpy().T, bw_method=bandwidth).logpdf(at.numpy().T)
    assert np.allclose(model.log_prob(at).detach().numpy(), wanted, atol=2e-3, rtol=1e-4)


def left_out(x: Tensor, log_bandwidth: float, blur: float = 0.0) -> float:
    """The mean of log p_-i(x_i) up to a constant, ``blur`` added to every squared difference: in float64."""
    squares, h = torch.cdist(x, x).square() + 2 * blur, math.exp(log_bandwidth)
    logs = -0.5 * squares / h**2 - x.shape[1] * log_bandwidth
    logs.fill_diagonal_(-math.inf)
    return torch.logsumexp(logs, 1).mean().item()


def test_the_bandwidth_makes_the_leave_one_out_likelihood_largest() -> None:
    x = ring(300).double()
    best = minimize_scalar(lambda h: -left_out(x, h), bounds=(-5, 1), method="bounded").x
    assert math.log(leave_one_out(x)) == pytest.approx(best, abs=0.01)


def test_dequantisation_widens_the_bandwidth_as_the_squared_distances_it_adds() -> None:
    x, blur = ring(300).double(), 0.003
    best = minimize_scalar(lambda h: -left_out(x, h, blur), bounds=(-5, 1), method="bounded").x
    assert math.log(leave_one_out(x, blur=blur)) == pytest.approx(best, abs=0.01)


def test_examples_seen_twice_do_not_narrow_the_bandwidth() -> None:
    x = ring(200)
    assert leave_one_out(x.repeat(3, 1)) == pytest.approx(leave_one_out(x), rel=1e-3)


def test_a_kernel_density_draws_its_examples_with_the_noise_of_its_bandwidth() -> None:
    x, model, generator = ring(50), KDE((2,), memory=50, bandwidth=0.03), torch.Generator().manual_seed(0)
    model.fit(x, None)
    z = torch.randn(20_000, 1, generator=generator)
    with torch.no_grad():
        centres, drawn = model.decode(z), model.observe(z, generator)
    assert (centres[:, None] == x).all(2).any(1).all()
    assert (drawn - centres).std().item() == pytest.approx(0.03, rel=0.02)


def test_a_memory_never_exceeds_the_data_set() -> None:
    assert len(KDE((2,), memory=100, num_examples=30).examples.rows) == 30
    assert len(Copycat((2,), memory=20, num_examples=30).examples.rows) == 20


# The copycat


def as_set(x: Tensor) -> ImageSet:
    return ImageSet(quantise(x, 17), x.flatten(1))


def found_out(model: Copycat, train: Tensor) -> dict[str, float | None]:
    """What the metrics of memorisation say of 100 draws, against other images than those of training."""
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(100, 1, generator=generator)
    with torch.no_grad():
        x = model.observe(z, generator) if model.jitter else model.decode(z)
    test, _ = pictures(100, seed=9)
    return {name: one.value for name, one in copy_metrics(as_set(x), as_set(test), as_set(train)).items()}


def test_copies_are_exact_and_found_out() -> None:
    (train, _), model = pictures(300), Copycat((1, 4, 4), num_examples=300)
    model.fit(train, None)
    found = found_out(model, train)
    assert found["exact_duplicates"] == 100
    assert (found["copy_rate"], found["auth_pct"]) == (1.0, 0.0)


def test_copies_with_noise_are_found_out_too() -> None:
    (train, _), model = pictures(300), Copycat((1, 4, 4), num_examples=300, jitter=0.1)
    model.fit(train, None)
    found = found_out(model, train)
    assert found["exact_duplicates"] == 0
    assert (found["copy_rate"], found["auth_pct"]) == (1.0, 0.0)
    assert model.sampler == "ancestral"


def test_every_example_is_given_back() -> None:
    x, model = ring(20), Copycat((2,), num_examples=20)
    model.fit(x, None)
    drawn = model.decode(torch.randn(1000, 1, generator=torch.Generator().manual_seed(0)))
    assert len(drawn.unique(dim=0)) == 20
