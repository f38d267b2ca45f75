"""The variational bound of a diffusion process against its closed form on a Gaussian."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from genzoo.evaluation.likelihood.diffusion import Process, diffusion
from genzoo.evaluation.likelihood.task import Statement, Task
from genzoo.images import log_normal_mass
from genzoo.testing import GaussianReference
from genzoo.testing.closed_forms import Only


def predictor(variance: float, betas: Tensor) -> Only:
    """The exact noise predictor of N(0, variance I) in the plane, for a process of our own."""
    model = GaussianReference(torch.zeros(2, dtype=torch.float64), variance)
    model.betas = betas
    return Only(model, "predict", "betas")


def told(model: Only, x: Tensor, *, levels: int | None = None, full: bool = False, seed: int = 0) -> Statement:
    (found,) = diffusion(model, Task(x, levels, seed, full))
    return found


def expected_cost(variance: float, betas: Tensor, choice: str) -> float:
    """E[-bound] in nats for one dimension of N(0, variance), from KL divergences of Gaussians by torch.

    With x_t = a x + s e, the error of the best prediction of x has variance s^2 v / (a^2 v + s^2).
    """
    abar = (1 - betas).cumprod(0)
    error = variance * (1 - abar) / (abar * variance + 1 - abar)
    prior = 0.5 * (abar[-1] * variance - abar[-1] - torch.log1p(-abar[-1]))
    shrunk = betas[1:] * (1 - abar[:-1]) / (1 - abar[1:])
    reverse = shrunk if choice == "beta-tilde" else betas[1:]
    share = betas[1:] * abar[:-1].sqrt() / (1 - abar[1:])  # of the predicted x in the posterior mean
    steps = kl_divergence(Normal(share * error[1:].sqrt(), shrunk.sqrt()), Normal(0.0 * share, reverse.sqrt()))
    decoder = shrunk[0] if choice == "beta-tilde" else betas[0]
    last = 0.5 * (2 * math.pi * decoder).log() + error[0] / (2 * decoder)
    return (prior + steps.sum() + last).item()


@pytest.mark.parametrize(
    ("variance", "choice", "betas"),
    [
        (1.0, "beta", torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)),
        (0.3, "beta", torch.linspace(1e-3, 0.2, 100, dtype=torch.float64)),
        (1e-6, "beta-tilde", torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)),
    ],
    ids=["a thousand steps", "a hundred", "nearly a point"],
)
def test_the_full_sum_is_the_closed_form_and_the_better_variance_is_taken(
    variance: float, choice: str, betas: Tensor
) -> None:
    """KL divergences of Gaussians by torch.distributions; 4 standard errors of 500 draws."""
    x = variance**0.5 * torch.randn(500, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = told(predictor(variance, betas), x, full=True)
    assert found.kind == f"lower bound (variational, {len(betas)} steps, variance {choice})"
    costs = {name: 2 * expected_cost(variance, betas, name) for name in ("beta", "beta-tilde")}
    assert min(costs, key=costs.__getitem__) == choice
    error = found.log_likelihood.std().item() / math.sqrt(len(x))
    assert -found.log_likelihood.mean().item() == pytest.approx(costs[choice], abs=4 * error)


def test_the_bound_tightens_with_the_number_of_steps() -> None:
    """To the entropy of N(0, 0.3), (1 + log 2 pi 0.3) / 2 for each dimension."""
    entropy = 0.5 * (1 + math.log(2 * math.pi * 0.3))
    costs = [
        expected_cost(0.3, torch.linspace(0.1 / n, 20 / n, n, dtype=torch.float64), "beta") for n in (50, 200, 1000)
    ]
    assert costs == sorted(costs, reverse=True)
    assert entropy < costs[-1] < entropy + 0.02


def test_the_drawn_timesteps_estimate_the_full_sum_without_bias() -> None:
    """One example, again and again: the mean of 2,000 estimates against that of 2,000 sums, 4 standard errors."""
    model = predictor(0.5, torch.linspace(1e-3, 0.2, 100, dtype=torch.float64))
    x = torch.tensor([[0.9, -0.4]], dtype=torch.float64).expand(2000, 2)
    some, every = (told(model, x, full=full).log_likelihood for full in (False, True))
    error = math.hypot(some.std().item(), every.std().item()) / math.sqrt(2000)
    assert some.mean().item() == pytest.approx(every.mean().item(), abs=4 * error)
    assert some.std() > every.std()


def test_the_standard_error_is_that_of_repetitions_with_other_timesteps() -> None:
    """Over 60 seeds and the same data the means vary by no more than the error that each states."""
    model = predictor(0.5, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))
    x = 0.5**0.5 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    runs = [told(model, x, seed=seed).as_likelihood(Task(x, None, seed, False)) for seed in range(60)]
    spread = torch.tensor([run.value for run in runs]).std().item()
    assert 0.3 * runs[0].se < spread < 1.2 * runs[0].se


def test_few_timesteps_are_all_taken() -> None:
    model = predictor(0.5, torch.linspace(0.05, 0.5, 10, dtype=torch.float64))
    assert told(model, torch.zeros(4, 2, dtype=torch.float64)).calls == 10


def test_steps_weigh_what_the_signal_to_noise_ratio_loses() -> None:
    """The sum over all t of (r_{t-1} - r_t) telescopes."""
    process = Process.of(predictor(1.0, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)))
    snr = process.abar / (1 - process.abar)
    assert (2 * process.weights * snr[1:]).sum().item() == pytest.approx((snr[0] - snr[-1]).item())


def test_images_are_bounded_by_a_mass() -> None:
    """A predictor that knows every pixel, and levels far apart: nothing is left to pay but the steps' variances."""

    class Omniscient(torch.nn.Module):
        shape = (1, 2, 2)
        betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)

        def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
            abar = (1 - self.betas).cumprod(0)[timestep].view(-1, 1, 1, 1)
            return (x_t - abar.sqrt() * 1.0) / (1 - abar).sqrt()

    found = told(Omniscient(), torch.ones(3, 1, 2, 2, dtype=torch.float64), levels=2, full=True)
    assert "beta-tilde" in found.kind
    prior = Process.of(Omniscient()).prior(torch.ones(3, 1, 2, 2, dtype=torch.float64))
    assert torch.allclose(-found.log_likelihood, prior, atol=1e-6)


@pytest.mark.parametrize("mean", [-1.5, -0.2, 0.0, 0.7, 3.0])
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_masses_of_all_levels_sum_to_one(mean: float, levels: int) -> None:
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    log_mass = log_normal_mass(x, torch.tensor(mean, dtype=torch.float64), 0.05, levels)
    assert log_mass.exp().sum().item() == pytest.approx(1, abs=1e-9)
    assert log_mass.isfinite().all()


def test_a_mass_far_in_either_tail_keeps_its_digits() -> None:
    """By symmetry, and by the density times the width for a narrow bin, 30 standard deviations away."""
    x, mean = torch.tensor([0.0], dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)
    right, left = log_normal_mass(x, mean, 0.02, 100_001), log_normal_mass(x, -mean, 0.02, 100_001)
    wanted = Normal(mean, 0.02).log_prob(x) + math.log(2 / 100_000)
    assert right.item() == pytest.approx(left.item(), rel=1e-9)
    assert right.item() == pytest.approx(wanted.item(), abs=1e-3)
