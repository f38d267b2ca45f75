"""What each player of the game is told: the objective and the penalties with their weights, in which arithmetic."""

import math
from typing import Any

import pytest
import torch
from games import GREY, SMALL, batches, started
from torch import Tensor, nn

from genzoo.errors import InvalidOption
from genzoo.protocols import Batch
from genzoo_gan.dcgan import DCGAN
from genzoo_gan.objectives import OBJECTIVES
from genzoo_gan.sngan import SNGAN
from genzoo_gan.trainer import Adversarial


@pytest.mark.parametrize(
    "weights", [{"gradient_penalty": 3.0}, {"r1": 2.0, "r1_every": 1}, {"r2": 2.0, "r1_every": 1}, {}]
)
def test_penalties_are_added_with_their_weights(weights: dict[str, Any]) -> None:
    """Of a linear critic w . x: 3 (|w| - 1)^2, or 2 |w|^2 / 2; nothing where nothing is asked for."""
    model, w = SNGAN((2,), **SMALL), torch.tensor([3.0, -4.0], requires_grad=True)
    model.critic = Linear(w)
    game = Adversarial(objective="non-saturating", **weights)
    losses = []
    for trainer in (game, Adversarial(objective="non-saturating")):
        torch.manual_seed(0)
        losses.append(next(trainer.losses(model, batches()))[1].item())
    wanted = 3 * 16.0 if "gradient_penalty" in weights else 25.0 if weights else 0.0
    assert losses[0] - losses[1] == pytest.approx(wanted, abs=1e-4)


class Linear(nn.Module):
    """w . x"""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w.detach().clone())

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return x @ self.w


def test_r1_looks_at_data_and_r2_at_fakes() -> None:
    """c(x) = |x|^2 / 2 has the slope |x|: they are gamma E[|x|^2] / 2 of what they look at; data are at (3, 3)."""
    model, batch, losses = SNGAN((2,), **SMALL), Batch(torch.full((8, 2), 3.0)), {}
    model.critic = Bowl()
    for name, weights in {"none": {}, "r1": {"r1": 2.0}, "r2": {"r2": 2.0}, "both": {"r1": 2.0, "r2": 2.0}}.items():
        torch.manual_seed(0)
        game = Adversarial(objective="relativistic", r1_every=1, **weights)
        losses[name] = next(game.losses(model, iter([batch])))[1].item()
    torch.manual_seed(0)
    fake = model.decode(torch.randn(8, 2))
    assert losses["r1"] - losses["none"] == pytest.approx(18, abs=1e-4)
    assert losses["r2"] - losses["none"] == pytest.approx(fake.square().sum(1).mean().item(), abs=1e-4)
    assert losses["both"] == pytest.approx(losses["r1"] + losses["r2"] - losses["none"], rel=1e-5)


class Bowl(nn.Module):
    """|x|^2 / 2."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return 0.5 * x.square().sum(1)


def test_a_relativistic_generator_is_judged_beside_the_data_that_the_critic_has_just_seen() -> None:
    """By a linear critic: the slope of E[softplus(w . (x - g))] by w is E[S(w . (x - g)) (x - g)], and w is 0 here."""
    model, w = SNGAN((2,), **SMALL), torch.zeros(2)
    model.critic = Linear(w)
    torch.manual_seed(0)
    losses = Adversarial(objective="relativistic").losses(model, iter([Batch(torch.full((8, 2), 3.0))]))
    critic = next(losses)[1]
    torch.manual_seed(0)
    fake = model.decode(torch.randn(8, 2))
    (slope,) = torch.autograd.grad(critic, model.critic.w)
    assert critic.item() == pytest.approx(math.log(2))
    assert slope.tolist() == pytest.approx((0.5 * (fake - 3)).mean(0).tolist(), rel=1e-4)
    with torch.no_grad():
        model.critic.w.copy_(torch.tensor([1.0, 2.0]))
    wanted = nn.functional.softplus((3 - fake) @ model.critic.w).mean()
    assert next(losses)[1].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_wasserstein_has_its_gradient_penalty_unless_told_otherwise() -> None:
    model = SNGAN((2,), **SMALL)
    model.critic = Linear(torch.tensor([3.0, -4.0]))
    losses = []
    for weight in (None, 10.0, 0.0):
        torch.manual_seed(0)
        game = Adversarial(objective="wasserstein", gradient_penalty=weight)
        losses.append(next(game.losses(model, batches()))[1].item())
    assert losses[0] == losses[1] == pytest.approx(losses[2] + 160)


def test_a_lazy_r1_is_taken_every_so_often_and_counts_as_much() -> None:
    """Every third critic update, the first among them, with three times the weight."""
    model = SNGAN((2,), **SMALL)
    model.critic = Linear(torch.tensor([3.0, -4.0]))
    lazy, none = Adversarial(r1=2.0, r1_every=3), Adversarial()
    found = []
    for _ in range(7):
        losses = []
        for trainer in (lazy, none):
            torch.manual_seed(0)
            losses.append(next(trainer.losses(model, batches()))[1].item())
        found.append(losses[0] - losses[1])
    assert found == pytest.approx([75, 0, 0, 75, 0, 0, 75], abs=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("make", (DCGAN, SNGAN))
def test_every_game_can_be_played_in_low_precision(make: type[SNGAN], objective: Any) -> None:
    torch.manual_seed(0)
    model, pulled = make(GREY, **SMALL), batches(GREY)
    game = Adversarial(objective=objective, r1=1.0, r2=1.0, r1_every=1, augment=("translation", "cutout", "colour"))
    optimizers = started(game, model, GREY)
    with torch.autocast("cpu", torch.bfloat16):
        for name, loss in game.losses(model, pulled):
            assert loss.isfinite() and loss.dtype == torch.float32
            loss.backward()
            optimizers[name].step()
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("options", [{"objective": "wasserstein"}, {"gradient_penalty": 10.0}])
def test_a_critic_with_batch_norm_has_no_gradient_of_one_example(options: dict[str, Any]) -> None:
    """The penalty is of each example's own slope; points have a critic without batch normalisation."""
    with pytest.raises(InvalidOption, match="gradient_penalty=10 needs a critic that judges each example by itself"):
        started(Adversarial(**options), DCGAN((1, 32, 32), **SMALL), (1, 32, 32))
    started(Adversarial(**options), DCGAN((2,), **SMALL))
    started(Adversarial(**options | {"gradient_penalty": 0.0}), DCGAN((1, 32, 32), **SMALL), (1, 32, 32))


def test_points_cannot_be_augmented() -> None:
    with pytest.raises(InvalidOption, match="is for images, these are points: leave it out"):
        started(Adversarial(augment=("cutout",)), SNGAN((2,), **SMALL))
