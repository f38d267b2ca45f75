"""The models' algebra: a net that says the truth about a Gaussian makes each of them its closed form."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import Conditional, LearnedVariance, LowerBound, as_denoiser, as_noisy_score, offers, supports
from genzoo.testing import GaussianReference
from genzoo.zoo import Zoo
from genzoo_diffusion.classifier import Classifier
from genzoo_diffusion.ddpm import DDPM, Target, ddpm
from genzoo_diffusion.edm import Preconditioned, edm
from genzoo_diffusion.flow_matching import FlowMatching, flow_matching
from genzoo_diffusion.ncsn import NCSN, ncsn
from genzoo_diffusion.schedules import cosine_betas, linear_betas, signal_and_noise

ZOO = Zoo.load()
MEAN, STD = 0.3, 0.6
REFERENCE = GaussianReference(torch.full((2,), MEAN, dtype=torch.float64), STD**2)
SIGMAS = torch.logspace(math.log10(0.002), math.log10(80), 40)


class Says(nn.Module):
    """A net that says what a function of x and t says, and remembers what it was shown."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.shown = function, torch.empty(0)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        self.shown = x
        return self.function(x, t)


def noisy(sigma: Tensor) -> Tensor:
    """A draw of the Gaussian at each sigma, [n, 2] float32."""
    generator = torch.Generator().manual_seed(0)
    return (REFERENCE.sample(len(sigma), generator) + sigma[:, None] * torch.randn(len(sigma), 2)).float()


def posterior_mean(x_t: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    """E[x_0 | x_t = signal x_0 + noise eps] of N(MEAN, STD^2)."""
    return MEAN + STD**2 * signal * (x_t - signal * MEAN) / (STD**2 * signal**2 + noise**2)


@pytest.mark.parametrize("betas", [linear_betas(1000), cosine_betas(1000)], ids=["linear", "cosine"])
@pytest.mark.parametrize("target", ["noise", "x0", "v"])
def test_whatever_the_net_says_the_model_predicts_the_noise(target: Target, betas: Tensor) -> None:
    def says(x_t: Tensor, t: Tensor) -> Tensor:
        signal, noise = (s[:, None] for s in signal_and_noise(betas, t * 1000))
        x_0 = posterior_mean(x_t.double(), signal, noise)
        eps = (x_t - signal * x_0) / noise
        return {"noise": eps, "x0": x_0, "v": signal * eps - noise * x_0}[target]

    t = torch.arange(1000)
    signal, noise = (s[:, None] for s in signal_and_noise(betas, t))
    x_t = (signal * (MEAN + STD * torch.randn(1000, 2)) + noise * torch.randn(1000, 2)).float()
    found = DDPM((2,), Says(says), betas, target, None).predict(x_t, t)
    clean = (x_t - noise * found) / signal
    assert torch.allclose(
        found.double(), (x_t - signal * posterior_mean(x_t.double(), signal, noise)) / noise, atol=1e-4
    )
    assert torch.allclose(clean, posterior_mean(x_t.double(), signal, noise), atol=3e-3)  # 2e-5 of the signal is left


def test_signal_and_noise_follow_the_betas_and_log_sigma_is_linear_between_them() -> None:
    betas = linear_betas(100)
    abar = torch.cumprod(1 - betas, 0)
    signal, noise = signal_and_noise(betas, torch.arange(100))
    assert torch.allclose(signal, abar.sqrt()) and torch.allclose(noise, (1 - abar).sqrt())
    (s0, s1), (n0, n1) = (part[40:42].log() for part in (signal, noise))
    s, n = (part.log() for part in signal_and_noise(betas, torch.tensor(40.25)))
    assert (n - s).item() == pytest.approx((0.75 * (n0 - s0) + 0.25 * (n1 - s1)).item(), rel=1e-12)
    assert signal_and_noise(betas, torch.tensor(99.0))[0] == signal[-1]


def test_a_preconditioned_net_sees_and_says_numbers_of_unit_size() -> None:
    """F* = (x_0 - c_skip x) / c_out has unit variance if the data have the size sigma_data (Karras et al., table 1)."""
    net, sigma = Says(lambda x, t: torch.zeros_like(x)), torch.full((200_000,), 0.7)
    model = Preconditioned((1,), net, STD, (0.002, 80.0), None)
    x_0 = STD * torch.randn(200_000, 1)
    x = x_0 + 0.7 * torch.randn_like(x_0)
    skipped = model.denoise(x, sigma)
    assert net.shown.std().item() == pytest.approx(1, abs=0.01)
    net.function = lambda x, t: torch.ones_like(x)
    wanted = (x_0 - skipped) / (model.denoise(x, sigma) - skipped)
    assert wanted.std().item() == pytest.approx(1, abs=0.01)


def edm_net(x: Tensor, sigma: Tensor) -> Tensor:
    scale = sigma.double()[:, None]
    size = (scale**2 + 0.5**2).sqrt()
    clean = REFERENCE.denoise(x.double() * size, sigma.double())
    return (clean - 0.5**2 / size**2 * x.double() * size) / (scale * 0.5 / size)


def test_every_model_is_the_gaussian_s_denoiser_and_score_when_its_net_is_right() -> None:
    """At every sigma from 0.002 to 80, to a relative 1e-3 of the score even where D - x has lost its digits."""
    x = noisy(SIGMAS)
    s = SIGMAS.double()[:, None]
    nets = {
        "edm": Preconditioned((2,), Says(lambda y, t: edm_net(y, SIGMAS)), 0.5, (0.002, 80.0), None),
        "ncsn": NCSN(
            (2,), Says(lambda y, t: REFERENCE.noisy_score(y * (1 + s**2).sqrt(), SIGMAS) * s), (0.002, 80.0), None
        ),
        "flow-matching": FlowMatching((2,), Says(flow_net), 0.5, None),
    }
    for name, model in nets.items():
        score = as_noisy_score(model).noisy_score(x, SIGMAS).double()
        assert torch.allclose(score, REFERENCE.noisy_score(x.double(), SIGMAS.double()), rtol=1e-3, atol=2e-3), name
        clean = as_denoiser(model).denoise(x, SIGMAS).double()
        assert torch.allclose(clean, REFERENCE.denoise(x.double(), SIGMAS.double()), atol=1e-4), name


def straight_velocity(x_t: Tensor, t: Tensor) -> Tensor:
    """E[x_1 - x_0 | x_t] of x_1 ~ N(MEAN, STD^2), x_0 ~ N(0, 1), x_t = (1 - t) x_0 + t x_1."""
    return MEAN + (t * STD**2 - (1 - t)) / (t**2 * STD**2 + (1 - t) ** 2) * (x_t - t * MEAN)


def flow_net(x: Tensor, t: Tensor) -> Tensor:
    """What F says of x_t / r, when v = (t s^2 - (1 - t)) / r^2 x_t + s / r F is the true velocity, s = 0.5."""
    t = t.double()[:, None]
    size = (t**2 * 0.5**2 + (1 - t) ** 2).sqrt()
    x_t = x.double() * size
    return (straight_velocity(x_t, t) - (t * 0.5**2 - (1 - t)) / size**2 * x_t) * size / 0.5


def test_the_velocity_is_true_from_noise_to_data_at_any_form_of_the_time() -> None:
    model, x = FlowMatching((2,), Says(flow_net), 0.5, None), torch.randn(3, 2)
    for t in (0.0, 0.25, 1.0):
        found, wanted = model.velocity(x, torch.tensor(t)), straight_velocity(x.double(), torch.tensor(t))
        assert torch.equal(found, model.velocity(x, torch.full((3,), t)))
        assert torch.allclose(found.double(), wanted, atol=1e-5)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.9, 1.0])
def test_a_net_of_velocities_sees_and_says_numbers_of_unit_size(t: float) -> None:
    """What is left to say, (x_1 - x_0 - v(F = 0)) / (v(F = 1) - v(F = 0)), has unit variance and is unlike x_t."""
    torch.manual_seed(0)
    net, time = Says(lambda x, t: torch.zeros_like(x)), torch.tensor(t)
    model, noise, x = FlowMatching((1,), net, STD, None), torch.randn(200_000, 1), STD * torch.randn(200_000, 1)
    x_t = (1 - t) * noise + t * x
    guess = model.velocity(x_t, time)
    assert net.shown.std().item() == pytest.approx(1, abs=0.01)
    net.function = lambda x, t: torch.ones_like(x)
    wanted = (x - noise - guess) / (model.velocity(x_t, time) - guess)
    assert wanted.std().item() == pytest.approx(1, abs=0.01)
    assert (wanted * x_t).mean().item() == pytest.approx(0, abs=0.01)


def test_the_size_of_the_data_is_an_option_and_otherwise_that_of_edm() -> None:
    sizes = [make(shape).sigma_data for make in (edm, flow_matching) for shape in ((2,), (1, 8, 8))]
    assert sizes == [1.0, 0.5, 1.0, 0.5]
    assert ZOO.model("flow-matching", (2,), {"sigma_data": 0.7}, {"num_classes": None}).sigma_data == 0.7


@pytest.mark.parametrize(
    ("make", "times"),
    [
        (ncsn, lambda sigma, low, high: torch.log(sigma / low) / math.log(high / low)),
        (edm, lambda sigma, low, high: 1 / (1 + sigma)),
        (flow_matching, lambda sigma, low, high: 1 / (1 + sigma)),
    ],
)
def test_the_net_s_time_is_in_0_to_1(make: Callable[..., nn.Module], times: Callable[..., Tensor]) -> None:
    model = make((2,))
    seen: list[Tensor] = []
    model.net = Says(lambda x, t: seen.append(t) or torch.zeros_like(x))
    low, high = model.sigma_min, model.sigma_max
    sigma = torch.tensor([low, math.sqrt(low * high), high])
    model.noisy_score(torch.zeros(3, 2), sigma)
    assert torch.allclose(seen[0], times(sigma, low, high), atol=1e-6)
    assert 0 <= seen[0].min() < 0.05 and 0.95 < seen[0].max() <= 1


@pytest.mark.parametrize("name", ["ddpm", "ncsn", "edm", "flow-matching"])
def test_a_conditional_model_hears_its_labels_and_none_is_no_class(name: str) -> None:
    torch.manual_seed(0)
    model = ZOO.model(name, (1, 8, 8), {"conditional": True, "width": 8}, {"num_classes": 3}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert supports(model, (Conditional,))
    x, sigma = torch.randn(4, 1, 8, 8), torch.full((4,), 0.5)

    def clean(labels: list[int]) -> Tensor:
        return as_denoiser(model.given(torch.tensor(labels))).denoise(x, sigma)

    assert torch.equal(clean([3, 3, 3, 3]), as_denoiser(model).denoise(x, sigma))
    first, other = clean([0, 1, 2, 3]), clean([0, 2, 2, 3])
    differs = (first - other).flatten(1).abs().amax(1) > 1e-4
    assert differs.tolist() == [False, True, False, False]


def test_without_conditional_there_are_no_classes() -> None:
    model = flow_matching((2,), num_classes=3)
    assert not supports(model, (Conditional,)) and offers(model) == ["Denoiser", "NoisyScore", "Velocity"]


def test_only_who_learns_a_variance_offers_it_and_its_bound() -> None:
    fixed, learned = ddpm((1, 8, 8), width=8), ddpm((1, 8, 8), width=8, learned_variance=True, levels=17)
    assert supports(learned, (LearnedVariance, LowerBound)) and learned.bounds == "mass"
    assert not supports(fixed, (LearnedVariance,)) and not supports(fixed, (LowerBound,))
    assert ddpm((2,), learned_variance=True, levels=17).bounds == "density"
    noise, width = learned.predict_with_variance(torch.randn(3, 1, 8, 8), torch.tensor(5))
    assert noise.shape == width.shape == (3, 1, 8, 8) and (width == 0.5).all()  # before any training


def refused(model: str, options: dict[str, object], shape: tuple[int, ...] = (1, 8, 8)) -> str:
    with pytest.raises(Exception) as error:
        ZOO.model(model, shape, options, {"num_classes": None})
    return str(error.value)


def test_what_cannot_be_built_is_refused_in_a_line() -> None:
    assert refused("edm", {"sigma_min": 3.0, "sigma_max": 2.0}) == (
        "model 'edm': sigma_min=3 is not below sigma_max=2: give a range of noise"
    )
    assert refused("ncsn", {"sigma_min": 60.0}) == (
        "model 'ncsn': sigma_min=60 is not below sigma_max=50: give a range of noise"
    )
    assert refused("ddpm", {"conditional": True}) == (
        "model 'ddpm': conditional=True needs data with classes, and this has none: "
        "take data with labels, or leave it out"
    )
    assert refused("flow-matching", {"backbone": "transformer"}, (2,)) == (
        "model 'flow-matching': backbone='transformer' is a net of images; points have a residual MLP: leave backbone "
        "as it is"
    )
    assert refused("edm", {"backbone": "transformer", "width": 40}) == (
        "model 'edm': width=40 of a transformer is not a multiple of 32, the width of a head"
    )
    assert refused("edm", {"backbone": "ddpm++", "patch": 2}) == (
        "model 'edm': patch=2: backbone 'ddpm++' sees single pixels; leave patch out or use 'unet'"
    )
    assert refused("flow-matching", {"patch": 2}, (2,)) == (
        "model 'flow-matching': patch=2: points have no pixels to see as one; leave patch out"
    )
    assert refused("noisy-classifier", {}) == (
        "model 'noisy-classifier': a classifier needs data with classes, and this has none: "
        "take data with labels, or leave it out"
    )


def test_a_classifier_says_a_distribution_over_the_classes_for_any_form_of_sigma() -> None:
    torch.manual_seed(0)
    for shape in ((2,), (1, 8, 8)):
        model = Classifier(shape, width=8, num_classes=5)
        x = torch.randn(3, *shape)
        told = model.log_class_probs(x, torch.tensor(0.5))
        assert torch.allclose(told.exp().sum(1), torch.ones(3), atol=1e-6) and told.shape == (3, 5)
        assert torch.equal(told, model.log_class_probs(x, torch.full((3,), 0.5)))
        assert not torch.allclose(told, model.log_class_probs(x, torch.tensor(0.1)))
