"""Contrastive divergence on closed forms: its gradient, its walks, and how they fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from parabola import Parabola, data, walks_of

from genzoo.cli import main
from genzoo.errors import InvalidOption
from genzoo.protocols import Batch
from genzoo_ebm.buffer import Walks
from genzoo_ebm.contrastive import ContrastiveDivergence
from genzoo_ebm.energy_matching import EnergyMatching
from genzoo_ebm.model import EBM, Potential


def gradient(trainer: Any, model: Parabola, batches: Iterator[Batch]) -> float:
    """Of the loss by the steepness."""
    _, loss = next(trainer.losses(model, batches))
    loss.backward()
    assert model.steepness.grad is not None
    return model.steepness.grad.item()


@pytest.mark.parametrize("num_steps", [300, 50])
@pytest.mark.parametrize("steepness", [1.0, 0.25])
def test_the_gradient_is_data_against_walks(steepness: float, num_steps: int) -> None:
    """On data N(0, 2^2) the steepness is right at 1/4: above it the gradient is positive, below it negative.

    All walks are 300 steps old when they count: in one go, or in six training steps.
    """
    trainer = ContrastiveDivergence(num_steps=num_steps, lifetime=600, step=0.1, energy_penalty=0, buffer=4000)
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
    trainer = ContrastiveDivergence(num_steps=4, lifetime=1000, step=1e-8, buffer=50)
    model = Parabola(1.0)
    list(trainer.losses(model, data(2.0, n=10)))
    before = walks_of(trainer)
    list(trainer.losses(model, data(2.0, n=10)))
    after = walks_of(trainer)
    moved = (after.x - before.x).abs().max(1).values
    assert 0 < (moved > 0).sum() <= 10 and moved.max() < 0.01
    assert set((after.age - before.age)[moved > 0].tolist()) == {4}


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
    trainer = ContrastiveDivergence(step=1e-4, temperature=1e-3, lifetime=70)
    trainer.initialize(model, Batch(torch.rand(20, 1, 8, 8), None))
    assert (model.step.item(), model.temperature.item()) == pytest.approx((1e-4, 1e-3))
    assert model.num_steps == 70


def test_a_potential_keeps_the_temperature_that_it_was_made_with() -> None:
    model = Potential((1, 8, 8), width=8, temperature=0.02)
    ContrastiveDivergence().initialize(model, Batch(torch.rand(20, 1, 8, 8), None))
    assert model.temperature.item() == pytest.approx(0.02) and model.step.item() == pytest.approx(4 * 0.02 / 300)


def test_a_temperature_is_refused_where_nothing_can_be_cooled() -> None:
    with pytest.raises(InvalidOption, match=r"temperature=0\.1 has no effect on points"):
        ContrastiveDivergence(temperature=0.1).initialize(EBM((2,), width=8), Batch(torch.rand(20, 2), None))


def test_a_life_is_a_whole_number_of_training_steps() -> None:
    with pytest.raises(ValueError, match="lifetime=100 is no multiple of num_steps=60"):
        ContrastiveDivergence(num_steps=60)


def test_walks_of_long_lives_begin_at_all_ages_too() -> None:
    """So that some count from the start, whatever the buffer."""
    trainer = ContrastiveDivergence(num_steps=5, lifetime=10_000, step=1e-8, buffer=40)
    list(trainer.losses(Parabola(1.0), data(2.0, n=10)))
    assert walks_of(trainer).age.max() >= 9_000


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


def test_a_divergence_is_told_in_one_line_by_the_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "ebm", "--data", "8gaussians", "--budget", "20steps", "--set", "trainer.step=1e6"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "apart, more than" in told and "try a lower learning rate" in told
