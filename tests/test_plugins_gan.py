"""The adversarial game by hand: its losses, who moves when, and the critic's Lipschitz bound."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.protocols import Batch
from genzoo_gan.model import SNGAN
from genzoo_gan.trainer import Adversarial, cross_entropy, hinge


def batches(n: int = 8) -> Iterator[Batch]:
    """Points, and how many batches were pulled stands in their first coordinate."""
    return (Batch(torch.full((n, 2), float(number))) for number in itertools.count())


def test_the_hinge_loss_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 0.25])
    assert hinge(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 1.25) / 3)


def test_the_hinge_loss_asks_for_no_more_than_a_margin() -> None:
    assert hinge(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -9.0])).item() == 0


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_the_cross_entropy_is_that_of_right_answers(logits: list[float]) -> None:
    right = [-math.log(1 / (1 + math.exp(-x))) for x in logits]
    wrong = [math.log1p(math.exp(x)) for x in logits]
    told = cross_entropy(torch.tensor(logits), torch.tensor(logits)).item()
    assert told == pytest.approx((sum(right) + sum(wrong)) / len(logits), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("loss", ["hinge", "cross-entropy"])
def test_the_critic_moves_on_fresh_batches_and_then_the_generator(loss: str) -> None:
    model, pulled = SNGAN((2,), latent=2, width=8), batches()
    game = Adversarial(critic_steps=3, loss=loss)
    assert [name for name, _ in game.losses(model, pulled)] == ["critic"] * 3 + ["generator"]
    assert next(pulled).x[0, 0] == 3  # batches 0, 1 and 2 are gone


def test_each_player_s_optimizer_has_that_player_s_weights() -> None:
    model = SNGAN((2,), latent=2, width=8)
    optimizers = Adversarial().optimizers(model)
    owned = {name: {id(p) for p in o.param_groups[0]["params"]} for name, o in optimizers.items()}
    assert owned["critic"] == {id(p) for p in model.critic.parameters()}
    assert owned["generator"] == {id(p) for p in model.generator.parameters()}


def test_the_critic_s_loss_does_not_reach_the_generator() -> None:
    model = SNGAN((2,), latent=2, width=8)
    _, loss = next(Adversarial().losses(model, batches()))
    loss.backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(p.grad is not None for p in model.critic.parameters())


def test_the_critic_is_no_steeper_than_it_says() -> None:
    """Every linear layer has spectral norm 1 and a leaky ReLU none above, so |c(x) - c(y)| <= L |x - y|."""
    torch.manual_seed(0)
    model = SNGAN((2,), width=8)
    for _ in range(200):  # the power iteration settles
        model.discriminate(torch.randn(2, 2))
    x = torch.randn(500, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(model.eval().discriminate(x).sum(), x)
    assert 0.01 * model.lipschitz < slope.norm(dim=1).max().item() <= 1.001 * model.lipschitz
