"""The density by the probability flow, example by example, against closed forms."""

import math

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import as_energy, as_noisy_score, as_score
from genzoo.evaluation.likelihood import likelihoods
from genzoo.evaluation.likelihood.probability_flow import probability_flow
from genzoo.evaluation.likelihood.task import Statement, Task
from genzoo.testing import GaussianReference, MixtureReference
from genzoo.testing.closed_forms import Only

DENOISER = ("denoise", "sigma_min", "sigma_max")
SCORER = ("noisy_score", "sigma_min", "sigma_max")
PREDICTOR = ("predict", "betas")


def told(model: nn.Module, x: Tensor, *, full: bool = True) -> Statement:
    (found,) = probability_flow(model, Task(x, None, 0, full))
    return found


def mixture() -> MixtureReference:
    return MixtureReference(torch.tensor([[1.0, 0.5], [-1.0, 0.5], [0.0, -1.0]]), 0.3**2)


@pytest.mark.parametrize("members", [DENOISER, SCORER, PREDICTOR], ids=["denoiser", "score", "predictor"])
@pytest.mark.parametrize("model", [GaussianReference(torch.zeros(2), 0.5), mixture()], ids=["one", "three"])
def test_every_point_gets_its_log_density(model: nn.Module, members: tuple[str, ...]) -> None:
    """Exact divergence in the plane, float32: within 0.002 nats of each point, also of a mixture."""
    x = model.sample(100, torch.Generator().manual_seed(0))
    part = Only(model, *members)
    found = told(part, x)
    blurred = type(model)(
        model.centres.squeeze(0), model.covariance + as_noisy_score(part).sigma_min ** 2 * torch.eye(2)
    )
    assert (found.log_likelihood - blurred.log_prob(x)).abs().max() < 2e-3


def test_the_density_is_that_of_the_data_blurred_by_the_smallest_sigma() -> None:
    model = GaussianReference(torch.zeros(2), 0.04)
    model.sigma_min = 0.3
    x = model.sample(50, torch.Generator().manual_seed(0))
    found = told(Only(model, *DENOISER), x)
    blurred = GaussianReference(torch.zeros(2), 0.04 + 0.3**2)
    assert (found.log_likelihood - blurred.log_prob(x)).abs().max() < 2e-3


def test_the_density_integrates_to_one() -> None:
    """On a lattice over [-4, 4]^2, within 0.001."""
    axis = torch.linspace(-4, 4, 81)
    found = told(Only(mixture(), *DENOISER), torch.cartesian_prod(axis, axis))
    assert found.log_likelihood.exp().sum().item() * 0.1**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_hutchinson_s_estimate_has_no_bias(correlation: float) -> None:
    """16 dimensions; exact for independent coordinates, else right on average over the examples; 4 standard errors."""
    covariance = 0.2 * ((1 - correlation) * torch.eye(16) + correlation * torch.ones(16, 16))
    model = GaussianReference(torch.zeros(16), covariance)
    x = model.sample(400, torch.Generator().manual_seed(0))
    error = told(Only(model, *DENOISER), x).log_likelihood - model.log_prob(x)
    assert error.mean().abs() < 4 * error.std() / 20 + 5e-3
    assert (error.std() > 0.5) == (correlation > 0)


def test_the_quick_way_is_near_the_full_one_with_fewer_calls() -> None:
    model = mixture()
    x = model.sample(500, torch.Generator().manual_seed(0))
    quick, full = (told(Only(model, *DENOISER), x, full=full) for full in (False, True))
    assert quick.calls < 0.7 * full.calls
    assert quick.log_likelihood.mean().item() == pytest.approx(full.log_likelihood.mean().item(), abs=0.01)


def test_the_calls_are_the_network_s() -> None:
    model, seen = mixture(), [0]
    denoise = model.denoise

    def watched(x: Tensor, sigma: Tensor) -> Tensor:
        seen[0] += len(x)
        return denoise(x, sigma)

    model.denoise = watched
    found = told(Only(model, *DENOISER), model.sample(50, torch.Generator().manual_seed(0)))
    assert found.calls == seen[0] / 50


@pytest.mark.parametrize(("shape", "n"), [((1, 8, 8), 64), ((1, 28, 28), 20), ((3, 64, 64), 16)])
def test_large_images_are_fewer(shape: tuple[int, ...], n: int) -> None:
    model = Only(GaussianReference(torch.zeros(math.prod(shape[:1])), 0.1), *DENOISER)
    model.shape, model.denoise = shape, lambda x, sigma: 0.1 * x / (0.1 + sigma**2)
    x = torch.zeros(100, *shape) + 1
    assert likelihoods(model, x, 3)[0].n == n


class OfAnEnergy(nn.Module):
    """A score that is itself the gradient of an energy, taken without keeping its graph."""

    shape, sigma_min, sigma_max = (2,), 0.01, 10.0

    def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        model = GaussianReference(torch.zeros(2), 0.3 + sigma.item() ** 2)
        return as_score(as_energy(Only(model, "log_prob"))).score(x)


class WithoutGradients(nn.Module):
    """A denoiser that computes without gradients: what is left of its score's derivative is -1 / sigma^2."""

    shape, sigma_min, sigma_max = (1, 4, 4), 0.01, 10.0

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        return x * 0.3 / (0.3 + sigma**2)


@pytest.mark.parametrize("model", [OfAnEnergy(), WithoutGradients()], ids=["an energy's", "no gradients"])
def test_a_score_with_a_wrong_derivative_has_a_reason(model: nn.Module) -> None:
    """It would give a number, and a wrong one."""
    x = torch.ones(5, *model.shape)
    (found,) = likelihoods(model, x, 2 if len(model.shape) == 3 else None)
    assert found.reason == "probability-flow ODE: the derivative of the noisy score is not that of its values"


def test_a_score_that_explodes_has_a_reason() -> None:
    class Exploding(nn.Module):
        shape, sigma_min, sigma_max = (2,), 0.01, 10.0

        def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
            return -(x**3) * 1e12

    (found,) = likelihoods(Exploding(), torch.ones(5, 2), None)
    assert found.reason.startswith("probability-flow ODE: the steps of the solver vanish at")
