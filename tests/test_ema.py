"""The averaged weights, against the average written out."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from genzoo.ema import Ema


def path(model: nn.Linear, steps: int) -> list[torch.Tensor]:
    """The weights of a random walk, which the model takes as it is told."""
    return [torch.randn_like(model.weight) for _ in range(steps)]


def follow(model: nn.Linear, ema: Ema, weights: list[torch.Tensor], first: int = 1) -> None:
    for step, weight in enumerate(weights, first):
        model.weight.data.copy_(weight)
        ema.update(step)


@given(width=st.floats(0.05, 1.0), steps=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_the_weights_of_step_s_count_as_the_power_function_says(width: float, steps: int) -> None:
    """The share of steps up to s in the average after t is (s / t)^(1 / width), by which equation it is defined."""
    model = nn.Linear(2, 2, bias=False)
    ema, weights = Ema(model, width), path(model, steps)
    follow(model, ema, weights)
    shares = (torch.arange(steps + 1).double() / steps) ** (1 / width)
    expected = sum(w.double() * s for w, s in zip(weights, shares.diff(), strict=True))
    assert torch.allclose(ema.model.weight.double(), expected, atol=1e-5)


def test_width_zero_keeps_the_last_weights() -> None:
    model = nn.Linear(2, 2)
    ema = Ema(model, 0.0)
    follow(model, ema, path(model, 3))
    assert torch.equal(ema.model.weight, model.weight)


def test_width_one_is_the_plain_mean() -> None:
    model = nn.Linear(2, 2)
    ema, weights = Ema(model, 1.0), path(model, 5)
    follow(model, ema, weights)
    assert torch.allclose(ema.model.weight, torch.stack(weights).mean(0), atol=1e-6)


def test_the_initial_weights_are_forgotten_at_once() -> None:
    model = nn.Linear(2, 2)
    ema, weights = Ema(model, 0.1), path(model, 1)
    follow(model, ema, weights)
    assert torch.equal(ema.model.weight, weights[0])


def test_averages_of_floating_point_buffers_and_copies_of_counters() -> None:
    model = nn.BatchNorm1d(3)
    ema = Ema(model, 1.0)
    means = []
    for step in (1, 2, 3):
        model(torch.randn(8, 3) + step)
        means.append(model.running_mean.clone())
        ema.update(step)
    assert torch.allclose(ema.model.running_mean, torch.stack(means).mean(0), atol=1e-6)
    assert ema.model.num_batches_tracked == 3


def test_tied_weights_are_averaged_once() -> None:
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    model = nn.Sequential(first, second)
    ema, weights = Ema(model, 1.0), path(first, 4)
    follow(first, ema, weights)
    assert torch.allclose(ema.model[1].weight, torch.stack(weights).mean(0), atol=1e-6)
    assert ema.model[0].weight is ema.model[1].weight


def test_the_average_is_a_model_of_its_own_that_is_not_trained() -> None:
    model = nn.Linear(2, 2).train()
    ema = Ema(model, 0.5)
    model.weight.data.add_(1)
    assert not torch.equal(ema.model.weight, model.weight)
    assert not ema.model.training and not any(p.requires_grad for p in ema.model.parameters())
    assert model.training and all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("width", [0.0, 0.1])
def test_a_saved_average_goes_on_exactly(width: float) -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    ema, weights = Ema(model, width), path(model, 6)
    follow(model, ema, weights[:3])
    saved = copy.deepcopy(ema.state_dict())
    follow(model, ema, weights[3:], first=4)
    resumed = Ema(model, width)
    resumed.load_state_dict(saved)
    follow(model, resumed, weights[3:], first=4)
    assert torch.equal(resumed.model.weight, ema.model.weight)
