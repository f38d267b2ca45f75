"""The energies' trainers on closed forms: their gradients, their minima, their walks, and how they fail."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genzoo.cli import main
from genzoo.protocols import Batch
from genzoo.testing import GaussianReference
from genzoo_ebm.buffer import Walks, state_of
from genzoo_ebm.contrastive import ContrastiveDivergence
from genzoo_ebm.energy_matching import EnergyMatching
from genzoo_ebm.model import EBM, Potential
from genzoo_ebm.noise_contrastive import NoiseContrastive
from genzoo_ebm.samplers import Langevin
from genzoo_ebm.score_matching import EnergyScoreMatching


class Parabola(nn.Module):
    """E(x) = (k / 2) |x - c|^2, of N(c, 1 / k)."""

    trainer, sampler = "contrastive-divergence", "langevin"

    def __init__(self, steepness: float, dimension: int = 2, temperature: float = 1.0) -> None:
        super().__init__()
        self.shape, self.temperature = (dimension,), temperature
        self.steepness = nn.Parameter(torch.tensor(steepness))
        self.centre = nn.Parameter(torch.zeros(dimension))

    def energy(self, x: Tensor) -> Tensor:
        return 0.5 * self.steepness * ((x - self.centre) ** 2).sum(1)


def data(std: float, n: int = 4000, dimension: int = 2, mean: float = 0.0) -> Iterator[Batch]:
    torch.manual_seed(0)
    while True:
        yield Batch(mean + std * torch.randn(n, dimension), torch.arange(n) % 3)


def train(trainer: Any, model: nn.Module, batches: Iterator[Batch], steps: int) -> None:
    """The contract's loop, with a cosine decay."""
    trainer.initialize(model, next(batches))
    (optimizer,) = trainer.optimizers(model).values()
    rate = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        for _, loss in trainer.losses(model, batches):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def gradient(trainer: Any, model: Parabola, batches: Iterator[Batch]) -> float:
    """Of the loss by the steepness."""
    _, loss = next(trainer.losses(model, batches))
    loss.backward()
    assert model.steepness.grad is not None
    return model.steepness.grad.item()


def walks_of(trainer: Any) -> Walks:
    """A copy of the walks that it keeps."""
    return Walks(**{name: t.clone() for name, t in state_of(trainer.walks).items()})


# contrastive divergence


@pytest.mark.parametrize("num_steps", [300, 50])
@pytest.mark.parametrize("steepness", [1.0, 0.25])
def test_the_gradient_is_data_against_walks(steepness: float, num_steps: int) -> None:
    """On data N(0, 2^2) the steepness is right at 1/4: above it the gradient is positive, below it negative.

    All walks are 300 steps old when they count: in one go, or in six training steps.
    """
    trainer = ContrastiveDivergence(num_steps=num_steps, lifetime=750, step=0.1, energy_penalty=0, buffer=4000)
    model = Parabola(steepness)
    trainer.walks = Walks.begin(model, 4000, None, torch.Generator().manual_seed(0))
    batches = data(2.0)
    for _ in range(300 // num_steps):
        model.zero_grad()
        got = gradient(trainer, model, batches)
    wanted = 2.0**2 - 1 / steepness  # E_data |x|^2 / 2 - E_model |x|^2 / 2, in two dimensions
    assert got == pytest.approx(wanted, abs=0.4)


def test_the_penalty_pulls_energies_to_zero() -> None:
    """With walks where the data are, a E[V^2] has the gradient 2 a E[V |x|^2 / 2] twice over."""
    quiet, loud = (
        gradient(
            ContrastiveDivergence(num_steps=300, lifetime=300, step=0.1, energy_penalty=a), Parabola(0.25), data(2.0)
        )
        for a in (0.0, 0.1)
    )
    wanted = 2 * 0.1 * 2 * 0.25 * 2.0 * 2.0**4  # two sides, E[(|x|^2 / 2)^2] = 2 s^4
    assert loud - quiet == pytest.approx(wanted, rel=0.1)


def test_walks_go_on_where_they_were() -> None:
    trainer = ContrastiveDivergence(num_steps=3, lifetime=1000, step=1e-8, buffer=50)
    model = Parabola(1.0)
    list(trainer.losses(model, data(2.0, n=10)))
    before = walks_of(trainer)
    list(trainer.losses(model, data(2.0, n=10)))
    after = walks_of(trainer)
    moved = (after.x - before.x).abs().max(1).values
    assert 0 < (moved > 0).sum() <= 10 and moved.max() < 0.01
    assert set((after.age - before.age)[moved > 0].tolist()) == {3}


def test_walks_begin_at_all_ages_and_begin_anew_when_their_life_is_over() -> None:
    trainer, model = ContrastiveDivergence(num_steps=5, lifetime=20, step=1e-8, buffer=40), Parabola(1.0)
    list(trainer.losses(model, data(2.0, n=10)))
    before = walks_of(trainer)
    assert before.age.unique().tolist() == [0, 5, 10, 15, 20]
    trainer.walks.age.fill_(20)
    list(trainer.losses(model, data(2.0, n=10)))
    after = walks_of(trainer)
    moved = (after.x - before.x).abs().max(1).values > 0.01
    assert moved.sum() == 10 and after.age[moved].tolist() == [5] * 10


def test_walks_that_are_young_do_not_count() -> None:
    """Until a walk has lived for two steps of five there is no contrast."""
    trainer, model = (
        ContrastiveDivergence(num_steps=1, lifetime=5, step=0.1, energy_penalty=0, buffer=10),
        Parabola(1.0),
    )
    trainer.walks = Walks.begin(model, 10, None, torch.Generator().manual_seed(0))
    found = []
    for _ in range(3):
        model.zero_grad()
        found.append(gradient(trainer, model, data(2.0, n=10)))
    assert found[0] == 0 and found[1] != 0 and found[2] != 0


def test_short_runs_begin_anew_each_time() -> None:
    trainer, model = ContrastiveDivergence(num_steps=4, lifetime=4, step=1e-8, buffer=10), Parabola(1.0)
    batches = data(2.0, n=10)
    list(trainer.losses(model, batches))
    before = walks_of(trainer)
    list(trainer.losses(model, batches))
    after = walks_of(trainer)
    assert set(after.age.tolist()) == {4} and ((after.x - before.x).abs().max(1).values > 0.001).all()


def test_an_energy_of_images_keeps_the_walk_that_it_is_trained_with() -> None:
    model = EBM((1, 8, 8), width=8)
    ContrastiveDivergence(step=1e-4, temperature=1e-3).initialize(model, Batch(torch.rand(20, 1, 8, 8), None))
    assert (model.step.item(), model.temperature.item()) == pytest.approx((1e-4, 1e-3))


@pytest.mark.parametrize("make", [ContrastiveDivergence, lambda: EnergyMatching(warmup_steps=0)])
def test_a_buffer_is_saved_with_the_labels_of_its_walks(make: Any) -> None:
    model = EBM((2,), width=8, conditional=True, num_classes=3)
    trainer, other = make(), make()
    list(trainer.losses(model, data(2.0, n=10)))
    other.load_state_dict({name: t.clone() for name, t in trainer.state_dict().items()})
    assert torch.equal(other.walks.x, trainer.walks.x) and torch.equal(other.walks.age, trainer.walks.age)
    assert torch.equal(other.walks.labels, trainer.walks.labels) and set(other.walks.labels.tolist()) == {0, 1, 2}


def test_the_model_s_weights_can_be_trained_after_a_step() -> None:
    model = Parabola(1.0)
    list(ContrastiveDivergence(num_steps=2).losses(model, data(2.0, n=10)))
    assert model.steepness.requires_grad


@pytest.mark.parametrize("steepness", [-5.0, 1e4])
def test_walks_that_run_away_are_told(steepness: float) -> None:
    """Down a slope without an end, or over a valley too steep for their steps."""
    trainer = ContrastiveDivergence(num_steps=60, lifetime=60, step=0.5)
    with pytest.raises(FloatingPointError, match="apart, more than 200: the walks run away"):
        list(trainer.losses(Parabola(steepness), data(2.0, n=10)))


def test_labels_are_learnt_by_contrast() -> None:
    """Classes at -1.5, 0 and 1.5: a class's draws lie about its own place."""
    model, places = EBM((1,), width=32, conditional=True, num_classes=3), torch.tensor([-1.5, 0.0, 1.5])

    def batches() -> Iterator[Batch]:
        torch.manual_seed(0)
        while True:
            y = torch.arange(120) % 3
            yield Batch(places[y, None] + 0.2 * torch.randn(120, 1), y)

    train(NoiseContrastive(), model, batches(), 300)
    energies = torch.stack([model.given(torch.full((3,), c)).energy(places[:, None]) for c in range(3)])
    assert torch.equal(energies.argmin(1), torch.arange(3))  # where each class is most likely
    assert torch.equal(energies.argmin(0), torch.arange(3))


# noise contrast


@pytest.mark.parametrize(
    ("reference", "ratio"), [(None, 1), (None, 4), (GaussianReference(torch.zeros(2), 4.0), 1)], ids=str
)
def test_noise_contrast_recovers_the_density_and_its_normaliser(reference: Any, ratio: int) -> None:
    model, trainer = Parabola(1.0), NoiseContrastive(lr=0.03, reference=reference, noise_ratio=ratio)
    train(trainer, model, data(0.7, mean=0.5), 300)
    assert model.steepness.item() == pytest.approx(1 / 0.7**2, rel=0.03)
    assert model.centre.tolist() == pytest.approx([0.5, 0.5], abs=0.02)
    assert trainer.normaliser.log_z.item() == pytest.approx(math.log(2 * math.pi * 0.7**2), abs=0.06)


def test_the_normaliser_is_the_trainer_s_own_network_and_the_gaussian_is_saved() -> None:
    trainer, other = NoiseContrastive(), NoiseContrastive()
    for one, std in ((trainer, 0.7), (other, 3.0)):
        one.initialize(Parabola(1.0), next(data(std)))
    other.networks().load_state_dict(trainer.networks().state_dict())
    other.load_state_dict(trainer.state_dict())
    assert other.normaliser.log_z.item() == trainer.normaliser.log_z.item()
    assert torch.equal(other.state_dict()["root"], trainer.state_dict()["root"])


def test_images_get_noise_of_one_level() -> None:
    trainer, x = NoiseContrastive(levels=17), torch.zeros(100, 1, 8, 8)
    noisy = trainer._dequantised(x)
    assert noisy.abs().max() <= 1 / 16 and noisy.std().item() == pytest.approx(1 / 8 / math.sqrt(12), rel=0.05)
    assert trainer._dequantised(x.flatten(1)) is not noisy and torch.equal(
        trainer._dequantised(x.flatten(1)), x.flatten(1)
    )


def test_a_reference_that_cannot_be_drawn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="the reference offers Energy: it needs Density and Decoder"):
        NoiseContrastive(reference=EBM((2,)))  # type: ignore[arg-type]


# score matching


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_score_matching_finds_the_energy_of_the_blurred_data(sigma: float) -> None:
    """Blurred by sigma, N(c, s^2) has the steepness 1 / (s^2 + sigma^2)."""
    model = Parabola(1.0)
    train(EnergyScoreMatching(lr=0.05, sigma_min=sigma), model, data(0.7, mean=0.5), 300)
    assert model.steepness.item() == pytest.approx(1 / (0.7**2 + sigma**2), rel=0.05)
    assert model.centre.tolist() == pytest.approx([0.5, 0.5], abs=0.05)


def test_several_noise_levels_are_drawn_evenly_in_their_logarithm() -> None:
    sigmas = EnergyScoreMatching(sigma_min=0.01, sigma_max=1.0)._sigmas(torch.zeros(10_000, 2))
    assert 0.01 <= sigmas.min() < 0.011 and 0.9 < sigmas.max() <= 1.0
    assert (sigmas < 0.1).double().mean().item() == pytest.approx(0.5, abs=0.02)


def test_noise_levels_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match=r"sigma_max=0\.1 is below sigma_min=0\.5"):
        EnergyScoreMatching(sigma_min=0.5, sigma_max=0.1)


# energy matching


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_energy_matching_finds_the_potential_between_gaussians(temperature: float) -> None:
    """Optimal transport of N(0, 1) to N(0, s^2) is x = s z, so x_t = (1 - t + t s) z and V = k |x|^2 / 2 has

    k = (1 - s) E[1 - t + t s] / E[(1 - t + t s)^2] = (1 - s) (1 + s) / 2 / ((1 + s + s^2) / 3).
    """
    s = 0.4
    model = Parabola(1 / temperature, dimension=1, temperature=temperature)
    train(EnergyMatching(lr=0.05 / temperature), model, data(s, n=500, dimension=1), 60)
    wanted = (1 - s) * (1 + s) / 2 / ((1 + s + s**2) / 3)
    assert temperature * model.steepness.item() == pytest.approx(wanted, rel=0.05)


def test_contrast_makes_it_the_density_of_the_data_at_its_temperature() -> None:
    """V / T has the steepness 1 / s^2 where contrastive divergence outweighs the transport."""
    model = Parabola(6.0, dimension=1)
    trainer = EnergyMatching(lr=0.1, warmup_steps=10, contrast=1e3, num_steps=40, step=0.05)
    train(trainer, model, data(0.5, n=500, dimension=1), 100)
    assert model.steepness.item() == pytest.approx(1 / 0.5**2, rel=0.1)


def test_walks_begin_after_the_warm_up_and_count_when_they_arrive() -> None:
    model, batches = Parabola(1.0, temperature=0.1), data(0.5, n=40)
    trainer = EnergyMatching(warmup_steps=2, num_steps=1, step=0.1)
    for _ in range(2):
        list(trainer.losses(model, batches))
    assert set(trainer.state_dict()) == {"taken"} and trainer.state_dict()["taken"] == 2
    list(trainer.losses(model, batches))
    assert (walks_of(trainer).age == 1).sum() == 10  # a quarter of the batch; two steps pass time 1
    assert trainer._arrival(model) == 2


def test_a_potential_carries_noise_to_data() -> None:
    torch.manual_seed(0)
    model = Potential((2,), width=64)
    train(EnergyMatching(), model, data(0.5, n=128, mean=1.0), 150)
    *_, x = Langevin().steps(model, 1000, torch.Generator().manual_seed(0))
    assert x.mean(0).tolist() == pytest.approx([1.0, 1.0], abs=0.15)
    assert 0.35 < x.std() < 0.75


def test_a_divergence_is_told_in_one_line_by_the_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "ebm", "--data", "8gaussians", "--budget", "20steps", "--set", "trainer.step=1e6"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "apart, more than" in told and "try a lower learning rate" in told
