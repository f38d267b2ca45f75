"""The hierarchical VAE: its layers against torch's distributions, its bounds where the exact likelihood is known."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from genzoo_vae import hierarchy
from genzoo_vae.hierarchy import VDVAE, resolutions
from genzoo_vae.likelihood import log_observation
from genzoo_vae.top_down import TopDown


def shaken(shape: tuple[int, ...], **options: object) -> VDVAE:
    """A small model none of whose parameters is zero."""
    torch.manual_seed(0)
    model = VDVAE(shape, width=8, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def pictures(n: int, *shape: int, levels: int = 17) -> Tensor:
    """Random levels."""
    return torch.linspace(-1, 1, levels)[torch.randint(levels, (n, *shape))]


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((14, 14), [(14, 14), (7, 7), (4, 4), (1, 1)]),
        ((8, 8), [(8, 8), (4, 4), (1, 1)]),
        ((9, 3), [(9, 3), (5, 2), (3, 1), (1, 1)]),
        ((2, 2), [(2, 2), (1, 1)]),
        ((1, 1), [(1, 1)]),
    ],
)
def test_resolutions_halve_down_to_four_and_end_with_one_pixel(
    size: tuple[int, int], wanted: list[tuple[int, int]]
) -> None:
    assert resolutions(size) == wanted


@pytest.mark.parametrize("shape", [(2,), (1, 1, 1), (1, 2, 2), (1, 7, 5), (1, 28, 28), (3, 9, 12)])
def test_pictures_of_any_size_and_points_go_up_and_down(shape: tuple[int, ...]) -> None:
    model = shaken(shape, levels=17 if len(shape) == 3 else None)
    x, (dimension,) = pictures(3, *shape), model.latent_shape
    assert model.encode(x).shape == (3, dimension)
    assert model.decode(torch.randn(3, dimension)).shape == (3, *shape)
    assert model.log_bound(x).isfinite().all()


@pytest.mark.parametrize(
    "options", [{}, {"latents": (0, 3, 5)}, {"bottleneck": 0.25, "encoder_depth": 2}, {"widen": 1}]
)
def test_what_the_encoder_explains_is_what_the_decoder_makes_of_the_same_noise(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no noise in the posterior, p(x | z) on the way of inference is that of decoding the encoded noise."""
    model, x = shaken((1, 8, 8), levels=17, **options), pictures(4, 1, 8, 8)
    noise, other = model.encode(x), torch.randn(4, *model.latent_shape)
    monkeypatch.setattr(torch, "randn_like", torch.zeros_like)
    decoded = log_observation(x, *model._observation(noise, None), 17)
    assert torch.allclose(model.terms(x)[0], decoded, rtol=1e-4)
    assert not torch.allclose(model.decode(other), model.decode(noise), atol=1e-3)


def test_the_divergence_of_every_layer_is_that_of_torch_s_normals_of_its_latent() -> None:
    """KL(N(mu + sigma d, (sigma s)^2) || N(mu, sigma^2)), from what each block is given; summed over positions."""
    model, x = shaken((1, 8, 8), levels=17), pictures(4, 1, 8, 8)
    blocks = [block for stage in model.stages for block in stage.blocks]
    told: list[Tensor] = []

    def note(block: nn.Module, arguments: tuple[Tensor, Tensor]) -> None:
        (mean, log_std), (d, log_s) = block.prior(arguments[0]).double().chunk(2, 1), posteriors.pop(0)
        std = log_std.exp()
        posterior = Normal(mean + std * d, std * log_s.exp())
        told.append(kl_divergence(posterior, Normal(mean, std)).sum((2, 3)))

    posteriors: list[tuple[Tensor, Tensor]] = []
    for block in blocks:
        block.posterior.register_forward_hook(lambda module, inputs, out: posteriors.append(out.double().chunk(2, 1)))
        block.register_forward_pre_hook(note)
    _, kls = model.terms(x)
    assert torch.allclose(kls.double(), torch.cat(told, 1), rtol=1e-3, atol=1e-4)
    assert (kls > 1e-3).any(1).all()


def test_a_new_model_s_posterior_is_its_prior() -> None:
    _, kls = VDVAE((1, 8, 8), width=8, levels=17).terms(pictures(2, 1, 8, 8))
    assert kls.abs().max() == 0


@pytest.mark.parametrize("bottleneck", [None, 0.25])
def test_every_weight_of_a_posterior_learns_from_the_start(bottleneck: float | None) -> None:
    """As soon as the picture depends on the latents: with the head away from zero."""
    torch.manual_seed(0)
    model = VDVAE((1, 8, 8), width=8, levels=17, bottleneck=bottleneck)
    nn.init.normal_(model.head[1].weight, std=0.1)
    model.log_bound(pictures(8, 1, 8, 8)).mean().backward()
    for stage in model.stages:
        for block in stage.blocks:
            slopes = torch.cat([p.grad.flatten() for p in block.posterior[-1].parameters()])
            assert (slopes != 0).all()


@pytest.mark.parametrize(("levels", "factor"), [(17, math.pi / math.sqrt(3)), (None, 1.0)])
@pytest.mark.parametrize("shape", [(1, 8, 8), (2,)])
def test_a_new_model_s_samples_are_about_zero_and_of_the_scale_of_the_data(
    shape: tuple[int, ...], levels: int | None, factor: float
) -> None:
    """Mean 0 and scale 1/e everywhere, whatever the latents; a logistic's standard deviation is pi / sqrt(3) scales."""
    model, generator, std = VDVAE(shape, width=8, levels=levels), torch.Generator().manual_seed(0), factor / math.e
    with torch.no_grad():
        x = model.observe(torch.randn(4000, *model.latent_shape, generator=generator), generator)
    assert (x.mean(0).abs() < 5 * std / math.sqrt(4000)).all()
    assert torch.allclose(x.std(0), torch.tensor(std), rtol=0.1)


@pytest.mark.parametrize("options", [{}, {"bottleneck": 0.25}, {"depths": (8, 8, 8)}])
def test_what_goes_through_a_new_model_neither_dies_nor_explodes(options: dict[str, Any]) -> None:
    """The root mean square of what each latent's block makes, with priors N(0, 1), is between 1/4 and 4."""
    torch.manual_seed(0)
    model, told = VDVAE((1, 8, 8), width=32, **options), []
    for stage in model.stages:
        for block in stage.blocks:
            block.register_forward_hook(lambda module, inputs, out: told.append(out.square().mean().sqrt().item()))
    model.decode(torch.randn(64, *model.latent_shape))
    assert min(told) > 1 / 4 and max(told) < 4


SLOPES, STD = (0.8, 0.5), 0.4


class Shift(TopDown):
    """h + slope z, with a posterior of z that leans on x as it is told."""

    shape = (1, 1, 1)

    def __init__(self, slope: float, lean: float, log_std: float) -> None:
        nn.Module.__init__(self)
        self.slope, self.lean, self.log_std = slope, lean, log_std

    def infer(self, h: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        return self.lean * (seen - h), torch.full_like(h, self.log_std)

    def forward(self, h: Tensor, noise: Tensor) -> Tensor:
        return h + self.slope * noise


class Seen(nn.Module):
    """x itself."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x]


class Head(nn.Module):
    """Mean h, standard deviation STD."""

    def forward(self, h: Tensor) -> Tensor:
        return torch.cat([h, torch.full_like(h, math.log(STD))], 1)


def linear(off: float) -> VDVAE:
    """x = 0.8 z_1 + 0.5 z_2 + 0.4 noise, with the exact posterior for ``off`` = 0: p(x) = N(0, 0.8^2 + 0.5^2 + 0.4^2).

    Given what came before, r = x - h has variance v_l = a_l^2 + (what comes after): z_l is N(a r / v, 1 - a^2 / v).
    """
    model = VDVAE((1,), width=1, depths=(2,), latents=(1,))
    rest = STD**2 + SLOPES[1] ** 2
    leans = [
        (a, a / v, 0.5 * math.log(1 - a * a / v)) for a, v in zip(SLOPES, (SLOPES[0] ** 2 + rest, rest), strict=True)
    ]
    model.encoder, model.head = Seen(), Head()
    model.stages[0].blocks = nn.ModuleList(Shift(a, lean, log_std + off) for a, lean, log_std in leans)
    return model.eval()


X = torch.tensor([[0.7], [-1.3], [0.0]])
EXACT = Normal(0.0, math.sqrt(sum(a * a for a in SLOPES) + STD**2)).log_prob(X[:, 0])


def test_with_the_exact_posterior_every_weight_is_the_likelihood() -> None:
    with torch.no_grad():
        assert torch.allclose(linear(0.0).log_weights(X, 100), EXACT.expand(100, 3), atol=1e-4)


@pytest.mark.parametrize("rows", [7, 2048])
@pytest.mark.parametrize("off", [0.3, -0.3])
def test_the_mean_weight_is_the_likelihood_whatever_the_posterior(
    off: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 4 standard errors, however many rows are computed at once."""
    monkeypatch.setattr(hierarchy, "ROWS_AT_ONCE", rows)
    torch.manual_seed(0)
    k = 700 if rows == 7 else 40_000
    ratios = (linear(off).log_weights(X, k) - EXACT).exp()
    assert ratios.shape == (k, 3)
    assert ((ratios.mean(0) - 1).abs() < 4 * ratios.std(0) / k**0.5).all()


def test_the_bound_rises_with_the_draws_to_the_likelihood() -> None:
    """ELBO < IWAE of 5 < IWAE of 50 < log p(x), each by more than the Monte-Carlo error."""
    torch.manual_seed(0)
    log_weights = linear(0.4).log_weights(X, 50 * 1000).view(1000, 50, 3)
    bounds = [(log_weights[:, :k].logsumexp(1) - math.log(k)).mean(0) for k in (1, 5, 50)]
    for lower, higher in zip([*bounds, EXACT], [*bounds[1:], EXACT], strict=False):
        assert (lower <= higher + 1e-6).all()
    assert (bounds[0] < bounds[1] - 0.05).all() and (EXACT - bounds[2] < 0.05).all()


def test_the_bound_is_the_mean_log_weight() -> None:
    """Whose divergences are in closed form; within 4 standard errors."""
    model, x = shaken((1, 4, 4), levels=17), pictures(1, 1, 4, 4)
    with torch.no_grad():
        weights, bound = model.log_weights(x, 3000)[:, 0], model.log_bound(x.expand(3000, 1, 4, 4))
    error = math.hypot(weights.std().item(), bound.std().item()) / math.sqrt(3000)
    assert weights.mean().item() == pytest.approx(bound.mean().item(), abs=4 * error)


def test_observations_have_the_mean_and_the_scale_that_the_net_tells() -> None:
    """A logistic of scale s has variance (pi s)^2 / 3."""
    model, generator = shaken((1, 2, 2), levels=17), torch.Generator().manual_seed(0)
    z = torch.randn(1, *model.latent_shape, generator=generator).expand(40_000, -1)
    with torch.no_grad():
        (mean, log_scale), x = model._observation(z[:1], None), model.observe(z, generator)
    std = math.pi / math.sqrt(3) * log_scale[0].exp()
    assert ((x.mean(0) - mean[0]).abs() < 4 * std / 200).all()
    assert torch.allclose(x.std(0), std, rtol=0.03)


def test_the_class_reaches_the_prior_and_the_posterior() -> None:
    """No class at all is the last one."""
    model = shaken((1, 8, 8), levels=17, num_classes=3, conditional=True)
    z, x = torch.randn(3, *model.latent_shape), pictures(3, 1, 8, 8)
    first, second, none = (model.given(torch.full((3,), label)) for label in (0, 1, 3))
    for method, argument in (("decode", z), ("encode", x)):
        given = [getattr(view, method)(argument) for view in (first, second, none)]
        assert (given[0] - given[1]).abs().max() > 1e-3
        assert torch.equal(given[2], getattr(model, method)(argument))
    assert first.log_weights(x, 4).shape == (4, 3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"depths": (2, 2)}, "depths has 2 numbers, there are 3 resolutions, 8x8, 4x4, 1x1: give one each"),
        ({"latents": (1,) * 4}, "latents has 4 numbers, there are 3 resolutions, 8x8, 4x4, 1x1: give one each"),
        ({"latents": (0, 0, 0)}, "latents is (0, 0, 0): at least one resolution needs a latent"),
        ({"conditional": True}, "conditional=True needs data with classes, and this has none"),
    ],
)
def test_what_cannot_be_built_is_said(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError) as error:
        VDVAE((1, 8, 8), **options)
    assert str(error.value).startswith(reason)
