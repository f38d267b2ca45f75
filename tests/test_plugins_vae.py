"""The VAE's likelihoods against sums and integrals, and its bound where the exact likelihood is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from genzoo_vae.likelihood import log_logistic_mass, log_normal, log_observation, normal_kl
from genzoo_vae.model import VAE


def grid(levels: int) -> Tensor:
    """The levels as models see them."""
    return torch.linspace(-1, 1, levels)


@given(mean=st.floats(-2, 2), log_scale=st.floats(-7, 2), levels=st.sampled_from([2, 3, 17, 256]))
@settings(max_examples=60, deadline=None)
def test_the_masses_of_all_levels_sum_to_one(mean: float, log_scale: float, levels: int) -> None:
    masses = log_logistic_mass(grid(levels), torch.tensor(mean), torch.tensor(log_scale), levels)
    assert masses.isfinite().all()
    assert masses.double().exp().sum().item() == pytest.approx(1.0, abs=2e-3)


def test_a_mass_is_the_difference_of_two_distribution_functions() -> None:
    x, mean, log_scale = grid(17)[1:-1], torch.tensor(0.1), torch.tensor(-1.0)
    upper, lower = ((x + side / 16 - mean) / log_scale.exp() for side in (1, -1))
    wanted = (torch.sigmoid(upper) - torch.sigmoid(lower)).log()
    assert torch.allclose(log_logistic_mass(x, mean, log_scale, 17), wanted, atol=1e-5)


def test_a_mass_far_in_the_tail_keeps_its_digits_and_its_gradient() -> None:
    """log P(level) falls linearly, with slope 1 / scale, where both distribution functions round to one number."""
    mean = torch.tensor(0.0, requires_grad=True)
    told = log_logistic_mass(torch.tensor([0.5]), mean, torch.tensor(-6.0), 256).sum()
    wanted = -(0.5 - 1 / 255) * math.exp(6) + math.log(-math.expm1(-2 / 255 * math.exp(6)))
    assert told.item() == pytest.approx(wanted, rel=1e-4)
    told.backward()
    assert mean.grad.item() == pytest.approx(math.exp(6), rel=1e-4)


def test_the_normal_density_is_torch_s() -> None:
    x, mean, log_std = torch.randn(3, 5).unbind()
    wanted = torch.distributions.Normal(mean, log_std.exp()).log_prob(x)
    assert torch.allclose(log_normal(x, mean, log_std), wanted, atol=1e-5)


class Moments(nn.Module):
    """A posterior net that says the posterior of a linear decoder, or something else."""

    def __init__(self, weight: Tensor, std: float, off: float) -> None:
        super().__init__()
        precision = 1 + weight**2 / std**2
        self.slope, self.log_std = weight / std**2 / precision, -0.5 * precision.log() + off

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x * self.slope, self.log_std.expand(x.shape)], 1)


def linear_vae(weight: Tensor, std: float, off: float = 0.0) -> VAE:
    """p(x | z) = N(W z, std^2) with diagonal W: p(x) = N(0, W^2 + std^2) and the posterior is Gaussian."""
    vae = VAE((2,), latent=2, width=8)
    vae.generator = nn.Linear(2, 2, bias=False)
    vae.generator.weight.data = torch.diag(weight)
    vae.posterior = Moments(weight, std, off)
    vae.log_scale.data.fill_(math.log(std))
    return vae.eval()


@pytest.mark.parametrize("off", [0.0, 0.5, -0.5])
def test_the_bound_falls_short_of_the_likelihood_by_the_divergence_of_the_posterior(off: float) -> None:
    """log p(x) - E[bound] = KL(q || p(z | x)) = e^(2 off) - 1 - 2 off nats in two dimensions; 4 standard errors."""
    torch.manual_seed(0)
    weight, std = torch.tensor([0.8, 0.3]), 0.5
    exact = torch.distributions.Normal(0.0, (weight**2 + std**2).sqrt())
    x = torch.tensor([[0.7, -0.4]]).expand(40_000, 2)
    bound = linear_vae(weight, std, off).log_bound(x)
    gap = exact.log_prob(x[0]).sum().item() - bound.mean().item()
    assert gap == pytest.approx(math.exp(2 * off) - 1 - 2 * off, abs=4 * bound.std().item() / len(x) ** 0.5)


@pytest.mark.parametrize("off", [0.0, 0.3, -0.3])
def test_the_mean_importance_weight_is_the_likelihood_whatever_the_posterior(off: float) -> None:
    """E[w] = p(x); with the exact posterior every weight is p(x). Within 4 standard errors, and 1e-4."""
    torch.manual_seed(0)
    weight, std = torch.tensor([0.8, 0.3]), 0.5
    x = torch.tensor([[0.7, -0.4], [0.1, 0.2]])
    exact = torch.distributions.Normal(0.0, (weight**2 + std**2).sqrt()).log_prob(x).sum(1)
    ratios = (linear_vae(weight, std, off).log_weights(x, 40_000) - exact).exp()
    assert ratios.shape == (40_000, 2)
    assert ((ratios.mean(0) - 1).abs() < 4 * ratios.std(0) / 200 + 1e-4).all()


def test_the_bound_is_the_mean_log_weight() -> None:
    """Of images, whose bound has its divergence in closed form: the two agree within 4 standard errors."""
    torch.manual_seed(0)
    vae, x = VAE((1, 4, 4), latent=2, width=8, levels=17).eval(), grid(17)[torch.randint(17, (1, 1, 4, 4))]
    with torch.no_grad():
        weights, bound = vae.log_weights(x, 4000)[:, 0], vae.log_bound(x.expand(4000, 1, 4, 4))
    error = math.hypot(weights.std().item(), bound.std().item()) / math.sqrt(4000)
    assert weights.mean().item() == pytest.approx(bound.mean().item(), abs=4 * error)


def test_observations_of_a_linear_decoder_have_the_marginal_s_spread() -> None:
    weight, std = torch.tensor([0.8, 0.3]), 0.5
    vae, generator = linear_vae(weight, std), torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = vae.observe(torch.randn(40_000, 2, generator=generator), generator)
    assert torch.allclose(x.var(0), weight**2 + std**2, rtol=4 * (2 / 40_000) ** 0.5)


def test_observations_of_images_follow_the_logistic() -> None:
    """A logistic of scale s has variance (pi s)^2 / 3."""
    vae = VAE((1, 4, 4), latent=2, width=8, levels=17).eval()
    z, generator = torch.zeros(20_000, 2), torch.Generator().manual_seed(0)
    with torch.no_grad():
        noise = vae.observe(z, generator) - vae.decode(z[:1])
    scale = vae.log_scale.exp().item()
    assert noise.var().item() == pytest.approx((math.pi * scale) ** 2 / 3, rel=0.02)
    assert noise.mean().item() == pytest.approx(0.0, abs=0.01)


def test_divergences_are_torch_s() -> None:
    mean, log_std = torch.randn(2, 5).unbind()
    posterior, prior = torch.distributions.Normal(mean, log_std.exp()), torch.distributions.Normal(0.0, 1.0)
    wanted = torch.distributions.kl_divergence(posterior, prior)
    assert torch.allclose(normal_kl(mean, log_std), wanted, atol=1e-5)


@pytest.mark.parametrize("levels", [None, 17, 256])
@pytest.mark.parametrize("log_scale", [-50.0, 50.0])
def test_a_scale_beyond_bounds_is_the_bound(log_scale: float, levels: int | None) -> None:
    """The likelihood stays finite, and its mass is still that of a distribution."""
    x = grid(levels or 3)[:, None]
    told = log_observation(x, torch.zeros_like(x), torch.full_like(x, log_scale), levels)
    assert told.isfinite().all()
    assert levels is None or told.double().exp().sum().item() == pytest.approx(1.0, abs=2e-3)


def test_the_class_reaches_the_encoder_and_the_decoder() -> None:
    """No class at all is the last one."""
    torch.manual_seed(0)
    vae = VAE((1, 4, 4), latent=2, width=8, levels=17, num_classes=3, conditional=True).eval()
    vae.embed_class.vectors.weight.data.normal_()
    x, z = grid(17)[torch.randint(17, (3, 1, 4, 4))], torch.randn(3, 2)
    first, second, none = (vae.given(torch.full((3,), label)) for label in (0, 1, 3))
    for method, argument in (("decode", z), ("encode", x)):
        given = [getattr(view, method)(argument) for view in (first, second, none)]
        assert (given[0] - given[1]).abs().max() > 1e-3
        assert torch.equal(given[2], getattr(vae, method)(argument))
    with pytest.raises(ValueError, match="conditional=True needs data with classes"):
        VAE((2,), conditional=True)
