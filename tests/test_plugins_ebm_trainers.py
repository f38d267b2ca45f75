"""Noise contrast, score matching and energy matching on closed forms: their minima, their walks, what they refuse."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from parabola import Parabola, data, train, walks_of

from genzoo.protocols import Batch
from genzoo.testing import GaussianReference
from genzoo_ebm.energy_matching import EnergyMatching
from genzoo_ebm.model import EBM, Potential
from genzoo_ebm.noise_contrastive import NoiseContrastive
from genzoo_ebm.samplers import Langevin
from genzoo_ebm.score_matching import EnergyScoreMatching

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


def test_a_potential_of_points_arrives_after_250_of_its_300_steps() -> None:
    assert EnergyMatching()._arrival(Potential((2,), width=8)) == 250


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_an_energy_without_a_temperature_is_cooled_so_that_its_walks_arrive(shape: tuple[int, ...]) -> None:
    model, trainer = EBM(shape, width=8), EnergyMatching()
    assert 2 * model.temperature / model.step > model.num_steps  # time 1 would be out of reach
    trainer.initialize(model, Batch(torch.rand(20, *shape)))
    assert 2 * model.temperature / model.step <= model.num_steps == 300
    assert model.temperature.item() == pytest.approx(0.01)


def test_a_potential_carries_noise_to_data() -> None:
    torch.manual_seed(0)
    model = Potential((2,), width=64)
    train(EnergyMatching(), model, data(0.5, n=128, mean=1.0), 150)
    *_, x = Langevin().steps(model, 1000, torch.Generator().manual_seed(0))
    assert x.mean(0).tolist() == pytest.approx([1.0, 1.0], abs=0.15)
    assert 0.35 < x.std() < 0.75
