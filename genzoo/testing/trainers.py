"""What every trainer must satisfy, with the model that names it or else another that has what it needs.

Trainings are the plain loop of :mod:`genzoo.testing.fitting`: the contract and nothing more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from genzoo.testing.cases import GREY, POINTS, Check, accepted, build, expect, find_model
from genzoo.testing.fitting import TARGET, Training, fitted, started

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

MOST_LOSSES = 1000


@dataclass(frozen=True)
class TrainerCase:
    """A registered trainer, and the model and shape that it trains here."""

    zoo: "Zoo"
    name: str
    model: str
    shape: tuple[int, ...]

    def start(self, shape: tuple[int, ...] | None = None, *, seed: int = 0) -> Training:
        """A training before its first step."""
        return started(self.zoo, self.name, self.model, shape or self.shape, seed=seed)


def yields_finite_losses_of_its_optimizers(case: TrainerCase) -> None:
    """One step is a finite generator of (optimizer's name, finite scalar loss with a gradient), at least one."""
    training = case.start()
    expect(bool(training.optimizers), "it has no optimizer")
    count = 0
    for name, loss in training.trainer.losses(training.model, training.batches):
        expect(name in training.optimizers, f"a loss of {name!r}; its optimizers are {', '.join(training.optimizers)}")
        expect(loss.dim() == 0, f"the loss of {name!r} has shape {tuple(loss.shape)}, not ()")
        expect(loss.requires_grad, f"the loss of {name!r} has no gradient")
        expect(loss.isfinite(), f"the loss of {name!r} is {loss.item()}")
        count += 1
        expect(count < MOST_LOSSES, f"more than {MOST_LOSSES} losses: one run of losses() is one step")
    expect(count > 0, "a step without a loss")


def holds_no_mode_across_a_yield(case: TrainerCase) -> None:
    """Gradient mode and autocast are the host's whenever it has a loss in hand, and after the step."""
    training = case.start()
    for _ in training.trainer.losses(training.model, training.batches):
        _expect_host_modes("across a yield")
    _expect_host_modes("after a step")


def _expect_host_modes(when: str) -> None:
    expect(torch.is_grad_enabled() and not torch.is_inference_mode_enabled(), f"it turns gradients off {when}")
    expect(not torch.is_autocast_enabled("cpu"), f"it holds autocast {when}")


def leaves_batches_as_they_are(case: TrainerCase) -> None:
    """The host may keep its data where the batches point."""
    training, seen = case.start(), []
    for batch in (next(training.batches) for _ in range(3)):
        seen.append((batch, batch.x.clone()))
    given = iter([batch for batch, _ in seen] * MOST_LOSSES)
    list(training.trainer.losses(training.model, given))
    expect(all(torch.equal(batch.x, before) for batch, before in seen), "it writes into the batches it is given")


def resumes_exactly(case: TrainerCase) -> None:
    """6 steps give the parameters, bit for bit, that 3 steps, a checkpoint, fresh objects and 3 more give."""
    torch.manual_seed(0)
    straight = case.start()
    for _ in range(3):
        straight.step()
    checkpoint = straight.checkpoint()
    for _ in range(3):
        straight.step()
    resumed = case.start(seed=1)
    resumed.resume(checkpoint)
    for _ in range(3):
        resumed.step()
    expected, got = straight.tensors(), resumed.tensors()
    different = [key for key, value in expected.items() if key not in got or not torch.equal(value, got[key])]
    expect(not different, f"{len(different)} of {len(expected)} tensors differ after resuming, {different[:1]} first")


def trains_on_images(case: TrainerCase) -> None:
    """Two steps on 1x8x8 images of 17 levels: finite losses that move finite parameters."""
    training = case.start(GREY)
    before = [p.detach().clone() for p in training.model.parameters()]
    losses = [loss for _ in range(2) for loss in training.step().values()]
    after = list(training.model.parameters())
    expect(all(loss.isfinite() for loss in losses), "a loss on images is not finite")
    expect(all(p.isfinite().all() for p in after), "a parameter is not finite after two steps on images")
    expect(any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)), "no parameter moves on images")


def learns_a_known_target(case: TrainerCase) -> None:
    """400 steps of 128 on N((0.5, -0.3), 0.5^2), sampled as the model asks: mean within 0.1, std from 0.4 to 0.6.

    A trainer of several optimizers plays a game, which circles where others descend: mean within 0.3 (N(0, 1) is 0.58
    away), std from 0.05 to 1.5.
    """
    model = fitted(case.zoo, case.name, case.model)
    expect(all(p.isfinite().all() for p in model.parameters()), "a parameter is not finite after training")
    with torch.no_grad():
        for state in case.zoo.sampler(model.sampler).steps(model, 1000, torch.Generator().manual_seed(0)):
            x = state
    plays = len(case.start().optimizers) > 1
    reach, least, most = (0.3, 0.05, 1.5) if plays else (0.1, 0.4, 0.6)
    off, std = math.dist(x.mean(0).tolist(), TARGET.centres[0].tolist()), x.std(0).tolist()
    expect(off <= reach, f"the mean of what it learned is {off:.2f} from the target's, allowed is {reach}")
    expect(
        all(least <= s <= most for s in std),
        f"it learned the standard deviations {std[0]:.2f} and {std[1]:.2f}; 0.5 is right, {least} to {most} allowed",
    )


def trainer_checks(zoo: "Zoo", name: str) -> list[Check]:
    """On points where some model allows it; on images too where its model accepts them."""
    case = TrainerCase(zoo, name, *find_model(zoo, zoo.trainer(name).needs, name, "trainer"))
    return [Check(f"{name}/trainer/{test.__name__}[{case.model}]", partial(test, case)) for test in _tests(case)]


def _tests(case: TrainerCase) -> list[Callable[[TrainerCase], None]]:
    tests: list[Callable[[TrainerCase], None]] = [
        yields_finite_losses_of_its_optimizers,
        holds_no_mode_across_a_yield,
        leaves_batches_as_they_are,
        resumes_exactly,
    ]
    tests += [trains_on_images] if GREY in accepted(case.zoo, case.model) else []
    sampled = case.shape == POINTS and build(case.zoo, case.model, POINTS).sampler
    return tests + ([learns_a_known_target] if sampled else [])
