"""The adversarial objectives, the penalties and the augmentations, each by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genzoo_gan.augment import AUGMENTATIONS, Augmentation, draw, moved
from genzoo_gan.objectives import OBJECTIVES
from genzoo_gan.penalties import gradient_penalty, slopes, zero_centred

REAL, FAKE = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 0.25])
Values = st.lists(st.floats(-30, 30), min_size=1, max_size=5)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def slope_of(loss: Tensor, logits: Tensor) -> list[float]:
    """The gradient with respect to each logit, times their number."""
    return (torch.autograd.grad(loss, logits)[0] * len(logits)).tolist()


def test_the_hinge_losses_by_hand() -> None:
    critic, generator = OBJECTIVES["hinge"].critic, OBJECTIVES["hinge"].generator
    assert critic(REAL, FAKE).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 1.25) / 3)
    assert generator(FAKE).item() == pytest.approx((3 + 0 - 0.25) / 3)


def test_the_hinge_asks_for_no_more_than_a_margin() -> None:
    assert OBJECTIVES["hinge"].critic(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -9.0])).item() == 0


@given(Values)
@settings(max_examples=40, deadline=None)
def test_the_non_saturating_losses_are_cross_entropies_of_the_answers(logits: list[float]) -> None:
    right = [-math.log(sigmoid(x)) for x in logits]
    wrong = [math.log1p(math.exp(x)) for x in logits]
    game, told = OBJECTIVES["non-saturating"], torch.tensor(logits)
    assert game.critic(told, told).item() == pytest.approx((sum(right) + sum(wrong)) / len(logits), rel=1e-4, abs=1e-5)
    assert game.generator(told).item() == pytest.approx(sum(right) / len(logits), rel=1e-4, abs=1e-5)


def test_the_wasserstein_losses_are_differences_of_means() -> None:
    game = OBJECTIVES["wasserstein"]
    assert game.critic(REAL, FAKE).item() == pytest.approx((-3 + 0 + 0.25) / 3 - (2 + 0.5 - 1) / 3)
    assert game.generator(FAKE).item() == pytest.approx((3 + 0 - 0.25) / 3)
    assert game.gradient_penalty == 10 and OBJECTIVES["hinge"].gradient_penalty == 0


def test_the_relativistic_losses_are_cross_entropies_of_who_looks_more_like_data() -> None:
    """Pair by pair, and of equals a coin's: log 2."""
    game, margins = OBJECTIVES["relativistic"], (REAL - FAKE).tolist()
    wanted = -sum(math.log(sigmoid(margin)) for margin in margins) / 3
    assert game.critic(REAL, FAKE).item() == pytest.approx(wanted)
    assert game.relative and game.generator(FAKE - REAL).item() == game.critic(FAKE, REAL).item()
    assert game.critic(REAL, REAL).item() == pytest.approx(math.log(2))
    assert game.critic(REAL + 7, FAKE + 7).item() == pytest.approx(wanted, rel=1e-5)  # a constant says nothing


SLOPES: dict[str, tuple[list[float], list[float], list[float]]] = {
    "hinge": ([0, -1, -1], [0, 1, 1], [-1, -1, -1]),
    "non-saturating": (
        [-sigmoid(-x) for x in REAL.tolist()],
        [sigmoid(x) for x in FAKE.tolist()],
        [-sigmoid(-x) for x in FAKE.tolist()],
    ),
    "wasserstein": ([-1, -1, -1], [1, 1, 1], [-1, -1, -1]),
    "relativistic": (
        [-sigmoid(f - r) for r, f in zip(REAL.tolist(), FAKE.tolist(), strict=True)],
        [sigmoid(f - r) for r, f in zip(REAL.tolist(), FAKE.tolist(), strict=True)],
        [-sigmoid(-x) for x in FAKE.tolist()],
    ),
}
"""The derivatives of each player's loss: the critic's by a real and by a fake logit, the generator's by a fake one."""


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradients_by_hand(name: str) -> None:
    of_real, of_fake, of_made = SLOPES[name]
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    game = OBJECTIVES[name]
    assert slope_of(game.critic(real, FAKE), real) == pytest.approx(of_real, abs=1e-6)
    assert slope_of(game.critic(REAL, fake), fake) == pytest.approx(of_fake, abs=1e-6)
    assert slope_of(game.generator(fake), fake) == pytest.approx(of_made, abs=1e-6)


def test_a_certain_critic_still_teaches_the_generator() -> None:
    """That is what does not saturate: log(1 - S(c)) would have a slope of S(-20) here."""
    fake = torch.full((3,), -20.0, requires_grad=True)
    assert slope_of(OBJECTIVES["non-saturating"].generator(fake), fake) == pytest.approx([-1] * 3)


W = torch.tensor([3.0, -4.0])


def linear(x: Tensor) -> Tensor:
    return x @ W


def test_penalties_of_a_linear_critic_in_closed_form() -> None:
    """c(x) = w . x has the slope |w| = 5 everywhere: R1 and R2 are 25 / 2, the gradient penalty (5 - 1)^2."""
    x = torch.randn(6, 2)
    assert slopes(linear, x).tolist() == pytest.approx([25.0] * 6)
    assert zero_centred(linear, x).item() == pytest.approx(12.5)
    assert gradient_penalty(linear, x, -x).item() == pytest.approx(16.0)


def test_penalties_have_the_gradient_of_their_closed_form() -> None:
    """d/dw |w|^2 / 2 = w; d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|."""
    x, w = torch.randn(6, 2), W.clone().requires_grad_()
    (of_r1,) = torch.autograd.grad(zero_centred(lambda x: x @ w, x), w)
    (of_gp,) = torch.autograd.grad(gradient_penalty(lambda x: x @ w, x, -x), w)
    assert of_r1.tolist() == pytest.approx(W.tolist())
    assert of_gp.tolist() == pytest.approx((2 * 4 * W / 5).tolist())


def test_the_penalty_of_a_flat_critic_can_be_learnt_from() -> None:
    w = torch.zeros(2, requires_grad=True)
    (gradient,) = torch.autograd.grad(gradient_penalty(lambda x: x @ w, torch.ones(3, 2), torch.zeros(3, 2)), w)
    assert gradient.isfinite().all()


def test_the_gradient_penalty_looks_between_data_and_fakes() -> None:
    """Each row of them lies on the line between its pair, and not always at one place."""
    seen: list[Tensor] = []

    def judge(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return linear(x)

    gradient_penalty(judge, torch.ones(500, 2), torch.zeros(500, 2))
    assert torch.equal(seen[0][:, 0], seen[0][:, 1])
    assert 0 <= seen[0].min() < 0.05 and 0.95 < seen[0].max() <= 1 and abs(seen[0].mean() - 0.5) < 0.1


def test_the_zero_centred_penalty_is_half_the_mean_squared_slope() -> None:
    """c(x) = |x|^2 has the slope 2 |x|: it is 2 E[|x|^2]."""
    x = torch.randn(50, 3)
    assert zero_centred(lambda x: x.square().sum(1), x).item() == pytest.approx(
        2 * x.square().sum(1).mean().item(), rel=1e-5
    )


@pytest.mark.parametrize("half", [True, False])
def test_penalties_are_computed_in_float32(half: bool) -> None:
    """Also within the host's autocast, whose products of matrices are rounded to three digits."""
    x, w = torch.randn(4, 2), torch.tensor([1.001, 0.0], requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        penalty = zero_centred(lambda x: x @ w, x)
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx(0.5 * 1.001**2, rel=1e-6)


IMAGES = torch.arange(1.0, 17).view(1, 1, 4, 4)


def test_a_translation_by_hand() -> None:
    """Down by one and left by two: what leaves is gone, zeros come in."""
    down, left = moved(4, torch.tensor([1])), moved(4, torch.tensor([-2]))
    wanted = [[0.0, 0, 0, 0], [3, 4, 0, 0], [7, 8, 0, 0], [11, 12, 0, 0]]
    assert (down[:, None] @ IMAGES @ left.mT[:, None])[0, 0].tolist() == wanted


def test_translations_reach_an_eighth_of_the_side_in_every_direction() -> None:
    torch.manual_seed(0)
    points = torch.zeros(400, 1, 16, 16)
    points[:, 0, 8, 8] = 1
    at = draw(["translation"], points)(points).nonzero()[:, 2:] - 8
    assert {tuple(move) for move in at.tolist()} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_a_cutout_is_a_hole_of_half_the_sides_that_the_border_may_cut() -> None:
    torch.manual_seed(0)
    cut = draw(["cutout"], torch.ones(300, 2, 8, 8))(torch.ones(300, 2, 8, 8))
    holes = (cut == 0).sum((2, 3))
    assert torch.equal(holes[:, 0], holes[:, 1]) and set(cut.unique().tolist()) == {0.0, 1.0}
    assert holes.max() == 16 and holes.min() == 4


def test_colour_is_brightness_saturation_and_contrast() -> None:
    """About the image's mean, which brightness alone moves, and by no more than a half."""
    torch.manual_seed(0)
    x = torch.rand(200, 3, 4, 4)
    seen = draw(["colour"], x)(x)
    shift = seen.mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert -0.5 <= shift.min() < -0.3 and 0.3 < shift.max() <= 0.5
    grey, before = seen.mean(1), x.mean(1)
    contrast = grey.flatten(1).std(1) / before.flatten(1).std(1)
    assert 0.5 <= contrast.min() < 0.6 and 1.4 < contrast.max() <= 1.5
    saturation = (seen - grey[:, None]).flatten(1).std(1) / (x - before[:, None]).flatten(1).std(1) / contrast
    assert 0 <= saturation.min() < 0.2 and 1.8 < saturation.max() <= 2.001


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_data_and_fakes_meet_the_same_transform_and_rows_different_ones(name: Augmentation) -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 16, 16).expand(8, -1, -1, -1)
    transform = draw([name], x)
    assert torch.equal(transform(x), transform(x.clone()))
    assert len({row.numpy().tobytes() for row in transform(x)}) > 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_pass_through(name: Augmentation) -> None:
    """By finite differences, in float64."""
    torch.manual_seed(0)
    x = torch.rand(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    transform = draw([name], x)
    assert torch.autograd.gradcheck(lambda x: transform(x.float()).double(), x, eps=1e-2, atol=1e-3, rtol=1e-3)
    (gradient,) = torch.autograd.grad(transform(x.float()).square().sum(), x)
    assert gradient.abs().sum() > 0


def test_no_augmentation_is_the_identity_and_draws_nothing() -> None:
    x, before = torch.randn(2, 1, 4, 4), torch.get_rng_state()
    assert draw([], x)(x) is x
    assert torch.equal(torch.get_rng_state(), before)
