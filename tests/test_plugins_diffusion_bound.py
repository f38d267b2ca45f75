"""The variational bound with learned variances, against torch's distributions and a process that is known entirely."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from genzoo.capabilities import LearnedVariance, NoisePredictor
from genzoo.sampling import draw
from genzoo.zoo import Zoo
from genzoo_diffusion.ddpm import ImprovedDDPM
from genzoo_diffusion.denoising import Denoising, Noised
from genzoo_diffusion.schedules import cosine_betas, linear_betas
from genzoo_diffusion.variational import Steps, decoder_cost

ZOO = Zoo.load()
STD = 0.5


def posterior(betas: Tensor, t: int, x_t: Tensor, x_0: Tensor) -> Normal:
    """q(x_{t-1} | x_t, x_0) as DDPM writes it, equations 6 and 7."""
    abar = torch.cumprod(1 - betas, 0)
    now, before, beta = abar[t], abar[t - 1], betas[t]
    mean = before.sqrt() * beta / (1 - now) * x_0 + (1 - beta).sqrt() * (1 - before) / (1 - now) * x_t
    return Normal(mean, ((1 - before) / (1 - now) * beta).sqrt())


@pytest.mark.parametrize("betas", [linear_betas(50), cosine_betas(50)], ids=["linear", "cosine"])
def test_a_step_costs_the_divergence_of_its_two_normals(betas: Tensor) -> None:
    steps, generator = Steps.of(betas), torch.Generator().manual_seed(0)
    x_t, x, clean, width = torch.randn(4, 3, 5, generator=generator, dtype=torch.float64)
    for t in (1, 2, 25, 49):
        q, p_mean = posterior(betas, t, x_t, x), posterior(betas, t, x_t, clean).mean
        std = torch.exp(0.5 * (width * betas[t].log() + (1 - width) * 2 * q.stddev.log()))
        wanted = kl_divergence(q, Normal(p_mean, std)).sum(1)
        found = steps.costs(x, clean, width, torch.full((3,), t), None)
        assert torch.allclose(found, wanted, rtol=1e-9)


def test_the_variance_goes_from_beta_tilde_to_beta_on_a_log_scale() -> None:
    betas = linear_betas(10)
    steps, t = Steps.of(betas), torch.arange(10)
    tilde = torch.stack([posterior(betas, i, torch.zeros(()), torch.zeros(())).variance for i in range(1, 10)])
    low, half, high = (steps.log_variance(t, torch.full((10, 1), w).double())[:, 0] for w in (0.0, 0.5, 1.0))
    assert torch.allclose(low[1:].exp(), tilde) and low[0] == low[1]  # at t = 0 it would be zero
    assert torch.allclose(high.exp(), betas) and torch.allclose(half, (low + high) / 2)


def test_the_prior_costs_the_divergence_from_the_standard_normal() -> None:
    betas, x = linear_betas(20), torch.randn(4, 3, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)[-1]
    wanted = kl_divergence(Normal(abar.sqrt() * x, (1 - abar).sqrt()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(Steps.of(betas).prior(x), wanted)


def test_the_decoder_is_a_density_of_points_and_a_mass_of_levels() -> None:
    x, mean, log_variance = (torch.randn(6, dtype=torch.float64) for _ in range(3))
    normal = Normal(mean, torch.exp(0.5 * log_variance))
    assert torch.allclose(decoder_cost(x, mean, log_variance, None), -normal.log_prob(x))
    levels = torch.linspace(-1, 1, 6, dtype=torch.float64)
    edges = torch.cat([torch.tensor([-math.inf]), (levels[1:] + levels[:-1]) / 2, torch.tensor([math.inf])])
    wanted = (normal.cdf(edges[1:]) - normal.cdf(edges[:-1])).log()
    assert torch.allclose(decoder_cost(levels, mean, log_variance, 6), -wanted, rtol=1e-9)
    far = decoder_cost(torch.tensor([1.0]).double(), torch.tensor([-9.0]).double(), torch.tensor([-8.0]).double(), 256)
    assert far.isfinite().all() and far > 1e4  # deep in the tail, where a difference of two ones would be zero


class Known(nn.Module, NoisePredictor, LearnedVariance):
    """The exact reverse of a short process of N(0, STD^2): its mean, and of the variance the w that makes it right.

    Var(x_{t-1} | x_t) = beta-tilde + c^2 Var(x_0 | x_t), where c is the weight of x_0 in the posterior's mean.
    """

    shape = (1,)
    betas: Tensor

    def __init__(self, timesteps: int) -> None:
        super().__init__()
        self.register_buffer("betas", linear_betas(timesteps))

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        abar = torch.cumprod(1 - self.betas, 0)[timestep.long()].reshape(-1, 1)
        return ((1 - abar).sqrt() * x_t / (abar * STD**2 + 1 - abar)).to(x_t.dtype)

    def predict_with_variance(self, x_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        return self.predict(x_t, timestep), self.width[timestep.long()].reshape(-1, 1).to(x_t).expand_as(x_t)

    @property
    def width(self) -> Tensor:
        steps = Steps.of(self.betas)
        spread = STD**2 * (1 - steps.abar) / (steps.abar * STD**2 + 1 - steps.abar)
        right = (
            steps.log_beta_tilde.exp() * (torch.arange(len(self.betas)) > 0) + steps.clean_weight**2 * spread
        ).log()
        return (right - steps.log_beta_tilde) / (steps.log_beta - steps.log_beta_tilde)


@pytest.mark.parametrize("timesteps", [5, 20])
def test_the_right_variance_makes_ancestral_sampling_exact_in_any_number_of_steps(timesteps: int) -> None:
    """The last step adds no noise, and the prior is not quite reached: what is left of both is known."""
    model = Known(timesteps)
    x = draw(ZOO.sampler("ddpm", {"num_steps": timesteps}), model, 40_000, seed=0).x
    start = torch.cumprod(1 - model.betas, 0)[-1] * STD**2 + 1 - torch.cumprod(1 - model.betas, 0)[-1]
    variance = after_every_step(model, float(start), 1.0)
    assert x.var().item() == pytest.approx(variance, rel=4 * math.sqrt(2 / 40_000))
    assert after_every_step(model, float(start), float(start)) == pytest.approx(shrunk(model), rel=1e-9)


def after_every_step(model: Known, right: float, start: float) -> float:
    """The variance at the end of a start with ``start``; a start with ``right`` would stay on the process's own."""
    abar = [1.0, *torch.cumprod(1 - model.betas, 0).tolist()]
    variance = start
    for t in reversed(range(len(model.betas))):
        now, before = (abar[i] * STD**2 + 1 - abar[i] for i in (t + 1, t))
        slope = math.sqrt(1 - model.betas[t].item()) * before / now
        spread = before - slope**2 * now if t else 0.0
        variance = slope**2 * variance + spread
    return variance


def shrunk(model: Known) -> float:
    """Var E[x_0 | x_1], which is what denoising at the last step makes."""
    abar = 1 - model.betas[0].item()
    return abar * STD**4 / (abar * STD**2 + 1 - abar)


def test_a_model_whose_variance_is_beta_samples_as_one_that_has_learned_none() -> None:
    known = Known(20)

    class Wide(nn.Module, NoisePredictor, LearnedVariance):
        shape, betas, predict = (1,), known.betas, staticmethod(known.predict)

        def predict_with_variance(self, x_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
            return known.predict(x_t, timestep), torch.ones_like(x_t)

    class Plain(nn.Module, NoisePredictor):
        shape, betas, predict = (1,), known.betas, staticmethod(known.predict)

    wide, plain = (draw(ZOO.sampler("ddpm", {"num_steps": 8}), m, 100, seed=0).x for m in (Wide(), Plain()))
    assert torch.allclose(wide, plain, atol=1e-5)


class Echo(nn.Module):
    """A net that says the same of every x: the noise a, and w by its tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.noise, self.width = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.tensor(0.4))

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.cat([self.noise * x, self.width.tanh().expand_as(x)], dim=1)


def model_of(timesteps: int, levels: int | None = None) -> ImprovedDDPM:
    return ImprovedDDPM((2,), Echo(), linear_betas(timesteps), "noise", None, levels)


def every_step(model: ImprovedDDPM, x: Tensor, draws: int) -> Tensor:
    """The whole sum over timesteps, [n] nats, by Monte Carlo over the noise alone."""
    steps, x = Steps.of(model.betas), x.repeat(draws, 1)
    total = torch.zeros(len(x), dtype=torch.float64)
    for t in (torch.full((len(x),), i) for i in range(len(model.betas))):
        noised = Noised.of(steps, x, t)
        total += noised.costs(*model.predict_with_variance(noised.x_t, t), model.levels).detach().double()
    return total.view(draws, -1).mean(0) * 2 * math.log(2)


@pytest.mark.parametrize("timesteps", [2, 10, 40])
def test_the_bound_is_the_prior_and_every_step_on_average(timesteps: int) -> None:
    torch.manual_seed(0)
    model, x = model_of(timesteps), torch.tensor([[0.3, -0.8], [1.0, 0.2]])
    draws = model.log_bound(x.repeat(4000, 1)).detach().view(4000, 2)
    wanted = -Steps.of(model.betas).prior(x) - every_step(model, x, 4000)
    error = draws.std(0) / math.sqrt(4000)
    assert ((draws.mean(0) - wanted).abs() < 5 * error + 0.01 * wanted.abs()).all()


def test_the_bound_of_the_known_process_is_the_truth() -> None:
    """Every step is exact and the prior is reached, so that nothing is lost."""
    torch.manual_seed(0)
    known = Known(400)
    model = ImprovedDDPM((1,), nn.Identity(), known.betas, "noise", None, None)
    model.predict_with_variance = lambda x, t, labels=None: known.predict_with_variance(x, t)
    x = STD * torch.randn(20_000, 1)
    gap = Normal(0.0, STD).log_prob(x)[:, 0] - model.log_bound(x)
    assert gap.mean().abs() < 4 * gap.std() / math.sqrt(20_000) < 0.06


@pytest.mark.parametrize("levels", [None, 5])
def test_the_objective_bound_is_every_step_in_bits_per_number(levels: int | None) -> None:
    torch.manual_seed(0)
    model = model_of(12)
    model.shape = (2,) if levels is None else (2, 1, 1)
    x = torch.tensor([[-0.5, 1.0]])
    losses = torch.stack([Denoising(levels=levels).bound(model, x.repeat(500, 1)).detach() for _ in range(40)])
    model.levels = levels
    wanted = every_step(model, x, 4000).item() / (2 * math.log(2))
    assert losses.mean().item() == pytest.approx(wanted, abs=5 * losses.std().item() / math.sqrt(40) + 0.02 * wanted)


def test_the_hybrid_s_bound_moves_the_variance_alone() -> None:
    gradients = []
    for objective in ("simple", "hybrid"):
        torch.manual_seed(0)
        model = model_of(100)
        getattr(Denoising(), objective)(model, torch.randn(64, 2)).backward()
        gradients.append((model.net.noise.grad, model.net.width.grad))
    (simple, none), (hybrid, width) = gradients
    assert torch.allclose(simple, hybrid) and none == 0 and width.abs() > 0
