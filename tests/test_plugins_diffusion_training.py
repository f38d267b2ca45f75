"""The losses, where the best there can be is known; and what is drawn for them."""

import math
from collections.abc import Iterator

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from genzoo.capabilities import supports
from genzoo.errors import InvalidOption
from genzoo.protocols import Batch
from genzoo.testing import GaussianReference, MixtureReference
from genzoo.zoo import Zoo
from genzoo_diffusion.classifier import Classifier, NoisyClassification
from genzoo_diffusion.ddpm import DDPM, Target, ddpm
from genzoo_diffusion.denoising import Denoising, Noised, Weighting
from genzoo_diffusion.drawn import evenly, normal_quantile
from genzoo_diffusion.matching import FlowMatchingTrainer
from genzoo_diffusion.schedules import linear_betas
from genzoo_diffusion.score_matching import DenoisingScoreMatching, PreconditionedDenoising
from genzoo_diffusion.variational import Steps

ZOO = Zoo.load()
STD, N = 0.5, 200_000
REFERENCE = GaussianReference(torch.zeros(1), STD**2)


def data(n: int = N, y: Tensor | None = None) -> Iterator[Batch]:
    while True:
        yield Batch(STD * torch.randn(n, 1), y)


def loss_of(trainer: object, model: object, n: int = N) -> float:
    torch.manual_seed(0)
    ((_, loss),) = trainer.losses(model, data(n))  # type: ignore[attr-defined]
    return loss.item()


def test_score_matching_of_the_true_score_loses_what_nobody_can_know() -> None:
    """E |sigma score + z|^2 = s^2 / (s^2 + sigma^2), over log sigma uniform: an integral with a closed form."""
    low, high = math.log(REFERENCE.sigma_min), math.log(REFERENCE.sigma_max)

    def integral(u: float) -> float:
        return -0.5 * math.log1p(STD**2 * math.exp(-2 * u))

    wanted = (integral(high) - integral(low)) / (high - low)
    assert loss_of(DenoisingScoreMatching(), REFERENCE) == pytest.approx(wanted, rel=0.01)


def test_the_weights_of_preconditioned_denoising_make_the_best_loss_one_at_every_noise() -> None:
    """E |D - x|^2 = (s sigma)^2 / (s^2 + sigma^2), which the weight turns into one."""
    REFERENCE.sigma_data = STD
    for mean in (-3.0, 0.0, 2.0):
        assert loss_of(PreconditionedDenoising(mean_log_sigma=mean, std_log_sigma=0.3), REFERENCE) == pytest.approx(
            1, rel=0.02
        )


def test_noise_levels_are_log_normal_and_kept_in_the_range_of_the_model() -> None:
    seen: list[Tensor] = []

    class Remembers(GaussianReference):
        sigma_min, sigma_max = 0.05, 10.0

        def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
            seen.append(sigma)
            return super().denoise(x, sigma)

    loss_of(PreconditionedDenoising(mean_log_sigma=-1.2), Remembers(torch.zeros(1), STD**2), 20_000)
    inside = seen[0][(seen[0] > 0.05) & (seen[0] < 10)]
    assert seen[0].min() == pytest.approx(0.05) and seen[0].max() <= 10
    assert len(inside) / 20_000 == pytest.approx(0.93, abs=0.01)
    assert inside.log().median().item() == pytest.approx(-1.2 + 1.2 * 0.083, abs=0.03)


@pytest.mark.parametrize(("shape", "size", "median"), [((1, 2, 2), 0.7, 0.56), ((1, 2, 2), 0.5, 0.4), ((3,), 1.0, 0.3)])
def test_the_noise_that_is_drawn_most_is_in_proportion_to_the_data(
    shape: tuple[int, ...], size: float, median: float
) -> None:
    seen: list[Tensor] = []

    class Remembers(GaussianReference):
        sigma_data = size

        def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
            seen.append(sigma)
            return super().denoise(x, sigma)

    list(PreconditionedDenoising().losses(Remembers(torch.zeros(shape), 1.0), iter([Batch(torch.zeros(999, *shape))])))
    assert seen[0].median().item() == pytest.approx(median, rel=0.01)


def refused(trainer: str, options: dict[str, object]) -> str:
    with pytest.raises(InvalidOption) as error:
        ZOO.trainer(trainer, options)
    return str(error.value)


def test_options_without_effect_are_refused_in_a_line() -> None:
    for name in ("mean_logit", "std_logit"):
        assert refused("flow-matching", {name: 1.5}) == (
            f"trainer 'flow-matching': {name}=1.5 has no effect on uniform times: leave it out or set "
            "times='logit-normal'"
        )
    assert refused("denoising", {"objective": "bound", "weighting": "v"}) == (
        "trainer 'denoising': weighting='v' has no effect on objective='bound', which has weights of its own: leave it "
        "out, or take 'simple' or 'hybrid'"
    )
    ZOO.trainer("denoising", {"objective": "hybrid", "weighting": "v"})


class Straight(nn.Module):
    """The true velocity of N(0, STD^2), which remembers the times."""

    shape = (1,)

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.times = t
        s, t = t[:, None] * STD**2 - (1 - t[:, None]), t[:, None]
        return s / (t**2 * STD**2 + (1 - t) ** 2) * x_t


@pytest.mark.parametrize("times", ["uniform", "logit-normal"])
def test_flow_matching_of_the_true_velocity_loses_what_nobody_can_know(times: str) -> None:
    """Var(x_1 - x_0 | x_t) = s^2 / (t^2 s^2 + (1 - t)^2), the mean of it over the times that were drawn."""
    model = Straight()
    found = loss_of(ZOO.trainer("flow-matching", {"times": times}), model)
    t = model.times.double()
    assert found == pytest.approx((STD**2 / (t**2 * STD**2 + (1 - t) ** 2)).mean().item(), rel=0.02)


def test_times_are_uniform_or_logit_normal_with_the_moments_that_are_asked() -> None:
    model = Straight()
    loss_of(FlowMatchingTrainer(), model, 5000)
    assert kstest(model.times, "uniform").pvalue > 0.01 and ((model.times >= 0) & (model.times < 1)).all()
    for moments in ({}, {"mean_logit": 1.2, "std_logit": 1.5}):
        loss_of(FlowMatchingTrainer(times="logit-normal", **moments), model, 5000)
        wanted = tuple(moments.values()) or (0, 1)
        assert kstest(torch.logit(model.times.double()), "norm", args=wanted).pvalue > 0.01


def test_draws_are_spread_evenly_and_each_is_uniform() -> None:
    torch.manual_seed(0)
    u = torch.stack([evenly(8, torch.device("cpu")) for _ in range(4000)])
    assert torch.equal((u * 8).long(), torch.arange(8).expand(4000, 8))
    assert kstest(u[:, 3] * 8 - 3, "uniform").pvalue > 0.01
    assert normal_quantile(torch.tensor([0.0, 0.5])).isfinite().all()


def test_a_batch_is_blurred_once_however_often_it_is_seen() -> None:
    noised = Noised.of(Steps.of(linear_betas(10)), torch.ones(3, 2), torch.tensor([0, 4, 9]))
    assert noised.x_t is noised.x_t


def test_adam_forgets_the_first_gradients_within_hundreds_of_steps() -> None:
    for name in ("denoising", "denoising-score-matching", "preconditioned-denoising", "flow-matching"):
        (optimizer,) = ZOO.trainer(name).optimizers(nn.Linear(1, 1)).values()
        assert optimizer.defaults["betas"] == (0.9, 0.99)


class Half(nn.Module):
    """A net that says half of the x_t that it sees."""

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        return x / 2


@pytest.mark.parametrize("weighting", [None, "noise", "x0", "v"])
@pytest.mark.parametrize("target", ["noise", "x0", "v"])
def test_the_simple_loss_is_the_squared_error_of_the_target_or_of_what_is_asked(
    target: Target, weighting: Weighting | None
) -> None:
    """Written out from the definitions: x_t = a x_0 + b eps, v = a eps - b x_0, at timesteps drawn again."""
    torch.manual_seed(0)
    model, n = DDPM((1,), Half(), linear_betas(1000), target, None), 4000
    batch = next(data(n))
    torch.manual_seed(1)
    loss = Denoising(weighting=weighting).simple(model, batch.x)
    torch.manual_seed(1)
    t = (evenly(n, batch.x.device) * 1000).long()
    eps, abar = torch.randn(n, 1).double(), torch.cumprod(1 - linear_betas(1000), 0)[t][:, None]
    x_0, a, b = batch.x.double(), abar.sqrt(), (1 - abar).sqrt()
    x_t = a * x_0 + b * eps
    said = x_t / 2
    noise = {"noise": said, "x0": (x_t - a * said) / b, "v": b * x_t + a * said}[target]
    clean = {"noise": (x_t - b * said) / a, "x0": said, "v": a * x_t - b * said}[target]
    errors = {"noise": noise - eps, "x0": clean - x_0, "v": a * noise - b * clean - (a * eps - b * x_0)}
    assert loss.item() == pytest.approx((errors[weighting or target] ** 2).mean().item(), rel=1e-3)


class Listens(nn.Module):
    """A conditional model that remembers the labels it was told."""

    shape, num_classes, sigma_min, sigma_max = (1,), 10, 0.01, 10.0
    betas = linear_betas(10)

    def given(self, labels: Tensor) -> "Listens":
        self.labels = labels
        return self

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        return x_t

    velocity = denoise = noisy_score = predict


@pytest.mark.parametrize(
    "trainer", ["denoising", "denoising-score-matching", "preconditioned-denoising", "flow-matching"]
)
def test_a_tenth_of_the_labels_is_dropped(trainer: str) -> None:
    torch.manual_seed(0)
    y = torch.arange(5000) % 10
    for dropout in (None, 0.5):
        model, options = Listens(), {} if dropout is None else {"label_dropout": dropout}
        list(ZOO.trainer(trainer, options).losses(model, data(5000, y)))
        kept = model.labels == y
        assert (model.labels[~kept] == 10).all()
        assert kept.double().mean().item() == pytest.approx(1 - (dropout or 0.1), abs=0.03)


def test_coupled_paths_are_shorter() -> None:
    length: dict[str, float] = {}

    class Length(nn.Module):
        shape = (1,)

        def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
            return torch.zeros_like(x_t)

    for coupling in ("independent", "optimal-transport"):
        length[coupling] = loss_of(ZOO.trainer("flow-matching", {"coupling": coupling}), Length(), 1024)
    assert length["independent"] == pytest.approx(1 + STD**2, rel=0.1)
    assert length["optimal-transport"] == pytest.approx((1 - STD) ** 2, rel=0.15)  # the distance of two normals


def test_a_classifier_learns_what_noise_leaves_of_the_classes() -> None:
    """Four Gaussians at the corners of a square: the posterior of the mixture blurred by sigma is known."""
    torch.manual_seed(0)
    mixture = MixtureReference(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]), 0.04)
    model, trainer = Classifier((2,), width=32, num_classes=4), NoisyClassification(lr=3e-3)
    (optimizer,) = trainer.optimizers(model).values()

    def batches() -> Iterator[Batch]:
        while True:
            y = torch.randint(4, (256,))
            yield Batch(mixture.centres[y] + 0.2 * torch.randn(256, 2), y)

    for _ in range(400):
        for _, loss in trainer.losses(model, batches()):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for sigma in (0.1, 0.5, 2.0):
        x = mixture.centres[torch.arange(2000) % 4] + math.hypot(0.2, sigma) * torch.randn(2000, 2)
        truth = mixture._blurred(x, torch.tensor(sigma))[2].log_softmax(1)
        told = model.log_class_probs(x, torch.tensor(sigma)).detach()
        assert (truth.exp() * (truth - told)).sum(1).mean() < 0.03


def test_a_classifier_cannot_learn_from_data_without_classes() -> None:
    with pytest.raises(ValueError, match="noisy-classification needs data with classes; choose data that have labels"):
        next(NoisyClassification().losses(Classifier((1,), num_classes=2), data(4)))


@pytest.mark.parametrize("objective", ["hybrid", "bound"])
def test_the_noisiest_step_of_a_cosine_schedule_leaves_the_bound_s_gradient_finite(objective: str) -> None:
    """There x_0 is a prediction divided by 5e-5: a mass that far off has no slope."""
    torch.manual_seed(0)
    model = ddpm((1, 8, 8), width=8, schedule="cosine", learned_variance=True)
    trainer = Denoising(objective=objective, levels=256)
    for _ in range(10):
        batch = Batch(torch.rand(128, 1, 8, 8) * 2 - 1)
        ((_, loss),) = trainer.losses(model, iter([batch]))
        loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_what_needs_a_learned_variance_says_so_before_it_trains() -> None:
    assert not supports(ddpm((2,)), Denoising(objective="hybrid").needs)
    assert supports(ddpm((2,), learned_variance=True), Denoising(objective="hybrid").needs)
