"""The game: who moves when and on what, what the trainer keeps, and what is averaged."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from games import GREY, SMALL, Line, batches, started, step
from torch import Tensor, nn

from genzoo.capabilities import Conditional, supports
from genzoo.ema import Ema
from genzoo.errors import InvalidOption
from genzoo.protocols import Batch
from genzoo_gan.critics import PointCritic, ResidualCritic
from genzoo_gan.dcgan import DCGAN
from genzoo_gan.generators import ResidualGenerator
from genzoo_gan.objectives import OBJECTIVES
from genzoo_gan.sngan import SNGAN
from genzoo_gan.trainer import Adversarial

MODELS = (DCGAN, SNGAN)


# The game


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_critic_moves_on_fresh_batches_and_then_the_generator(objective: Any) -> None:
    model, pulled = SNGAN((2,), **SMALL), batches()
    game = Adversarial(critic_steps=3, objective=objective)
    optimizers = started(game, model)
    assert step(game, model, optimizers, pulled) == ["critic"] * 3 + ["generator"]
    assert next(pulled).x[0, 0] == 3  # batches 0, 1 and 2 are gone


@pytest.mark.parametrize("make", MODELS)
def test_each_player_s_optimizer_has_that_player_s_weights(make: type[SNGAN]) -> None:
    model = make((2,), **SMALL)
    owned = {name: set(o.param_groups[0]["params"]) for name, o in started(Adversarial(), model).items()}
    assert owned == {"critic": set(model.critic.parameters()), "generator": set(model.generator.parameters())}


@pytest.mark.parametrize("make", MODELS)
def test_neither_loss_reaches_the_other_player(make: type[SNGAN]) -> None:
    model, game = make((2,), **SMALL), Adversarial()
    started(game, model)
    losses = game.losses(model, batches())
    next(losses)[1].backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert any(p.grad.any() for p in model.critic.parameters() if p.grad is not None)
    model.zero_grad(set_to_none=True)
    next(losses)[1].backward()
    assert all(p.grad is None for p in model.critic.parameters())
    assert any(p.grad.any() for p in model.generator.parameters() if p.grad is not None)
    assert all(p.requires_grad for p in model.parameters())  # it can learn again


def test_the_generator_s_loss_is_that_of_the_fakes_that_the_critic_has_just_seen() -> None:
    model, game, seen = SNGAN((2,), **SMALL), Adversarial(), []
    started(game, model)
    model.critic.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach().clone()))
    list(game.losses(model, batches()))
    real, fake, judged = seen
    assert not real.any() and torch.equal(fake, judged)


# A decoder without a critic


def test_a_decoder_without_a_critic_gets_one_that_is_counted_and_saved() -> None:
    game, model = Adversarial(), Line()
    networks = game.networks()
    assert not list(networks.parameters())  # before it is known what it will judge
    optimizers = started(game, model)
    owned = set(networks.parameters())
    assert owned and owned == set(optimizers["critic"].param_groups[0]["params"])
    assert set(optimizers["generator"].param_groups[0]["params"]) == {model.slope, model.unused}
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    step(game, model, optimizers, batches())
    assert not torch.equal(model.slope, torch.ones(2)) and torch.equal(model.unused, torch.ones(2))
    after = networks.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in after if name.endswith("weight"))
    assert before["steps"] == 0 and after["steps"] == 1


class Coarse(Line):
    """Makes bfloat16, as a generator without a last step in float32 does within autocast."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z).bfloat16()


def test_the_critic_sees_fakes_of_the_data_s_own_type() -> None:
    game, model, seen = Adversarial(), Coarse(), []
    started(game, model)
    game.owned.judge.critic.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].dtype))
    list(game.losses(model, batches()))
    assert seen == [torch.float32] * 3


def test_the_critic_of_a_model_with_one_is_the_model_s() -> None:
    game = Adversarial()
    started(game, SNGAN((2,), **SMALL))
    assert not list(game.networks().parameters())


@pytest.mark.parametrize(("shape", "kind"), [((2,), PointCritic), (GREY, ResidualCritic)])
def test_the_kept_critic_fits_the_data_and_is_told_of_classes_where_the_decoder_is(shape: Any, kind: type) -> None:
    model = SNGAN(shape, num_classes=3, conditional=True, **SMALL)
    del model.critic
    game = Adversarial(critic_width=8)
    started(game, model, shape)
    judge, x = game.owned.judge, torch.randn(4, *shape)
    assert isinstance(judge.critic, kind) and supports(judge, (Conditional,))
    told = [judge.given(torch.full((4,), k)).discriminate(x) for k in range(3)]
    assert all(not torch.allclose(a, b) for a, b in itertools.combinations(told, 2))


def test_the_width_of_a_critic_that_is_not_kept_is_refused() -> None:
    with pytest.raises(InvalidOption, match="critic_width=8 is of a critic that the trainer makes"):
        started(Adversarial(critic_width=8), SNGAN((2,), **SMALL))


def test_a_decoder_learns_from_the_kept_critic() -> None:
    """The data lie on another line, at z (2, -1): their second moments are found."""
    torch.manual_seed(0)
    game, model, direction = Adversarial(lr=1e-2, critic_lr=1e-2, r1=1.0, r1_every=1), Line(), torch.tensor([2.0, -1.0])
    optimizers = started(game, model)
    data = (Batch(torch.randn(64, 1) * direction) for _ in itertools.count())
    for _ in range(1200):
        step(game, model, optimizers, data)
    moments = torch.outer(model.slope, model.slope)
    assert torch.allclose(moments, torch.outer(direction, direction), atol=0.4)


def test_resuming_brings_back_the_kept_critic_and_the_rhythm_of_r1() -> None:
    """3 steps, a checkpoint into fresh objects and 3 more are 6 steps, bit for bit; R1 is due every other one."""
    ends = []
    for resumed in (False, True):
        torch.manual_seed(0)
        game, model, pulled = Adversarial(r1=1.0, r1_every=2), Line(), batches()
        optimizers = started(game, model)
        for k in range(6):
            if resumed and k == 3:
                saved = [
                    model.state_dict(),
                    game.networks().state_dict(),
                    {n: o.state_dict() for n, o in optimizers.items()},
                ]
                random = torch.get_rng_state()
                game, model = Adversarial(r1=1.0, r1_every=2), Line()
                optimizers = started(game, model)
                model.load_state_dict(saved[0])
                game.networks().load_state_dict(saved[1])
                for name, optimizer in optimizers.items():
                    optimizer.load_state_dict(saved[2][name])
                torch.set_rng_state(random)
            step(game, model, optimizers, pulled)
        ends.append([model.slope.detach(), *game.networks().state_dict().values()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


# Labels


def test_a_conditional_generator_learns_where_each_class_lies() -> None:
    """Class k at (k - 1, 0.5): the mean of what is made of each class is there."""
    torch.manual_seed(0)
    model, game = SNGAN((2,), num_classes=3, conditional=True, width=32), Adversarial(lr=2e-3, critic_lr=2e-3)
    optimizers, y = started(game, model), torch.arange(96) % 3
    centres = torch.stack([torch.arange(3) - 1.0, torch.full((3,), 0.5)], dim=1)
    data = (Batch(centres[y] + 0.1 * torch.randn(96, 2), y) for _ in itertools.count())
    for _ in range(300):
        step(game, model, optimizers, data)
    made = model.given(y).decode(torch.randn(96, *model.latent_shape))
    means = torch.stack([made[y == k].mean(0) for k in range(3)])
    assert (means - centres).norm(dim=1).max() < 0.35


# Averaged weights


def test_the_average_of_a_generator_with_batch_norm_has_statistics_that_fit() -> None:
    """What the averaged generator makes in eval mode is what it makes with the statistics of its own batches."""
    torch.manual_seed(0)
    model, game, steps = SNGAN(GREY, width=8), Adversarial(), 60
    data = (Batch(torch.rand(32, *GREY) * 2 - 1) for _ in itertools.count())
    optimizers, ema = started(game, model, GREY), Ema(model, 0.1)
    for k in range(steps):
        for optimizer in optimizers.values():
            optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * k / steps))
        step(game, model, optimizers, data)
        ema.update(k + 1)
    z, fresh = torch.randn(2000, *model.latent_shape), copy.deepcopy(ema.model)
    for norm in (m for m in fresh.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
    with torch.no_grad():
        averaged, unfit = ema.model.eval().decode(z), fresh.eval().decode(z)
        own = ema.model.train().decode(z)
    assert (averaged - own).abs().mean() < 0.06 < 0.1 < (unfit - own).abs().mean()


def test_all_generators_average_alike() -> None:
    """Every buffer is updated in place, as the average needs."""
    generator = ResidualGenerator(2, GREY, 8, None)
    before = [id(b) for b in generator.buffers()]
    generator(torch.randn(4, 2), None)
    assert [id(b) for b in generator.buffers()] == before
