"""Every model with every trainer and sampler that can use it: what ``genzoo list --compatible`` promises.

Models and trainers have their default options; one step each, on 1x8x8 images where the model takes them, else on
points. What needs more than capabilities may refuse in words (a :class:`~genzoo.errors.GenZooError` or a ValueError)
before its first loss or state, and has passed.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from genzoo.capabilities import supports
from genzoo.compatibility import needs
from genzoo.errors import GenZooError
from genzoo.testing.cases import GREY, POINTS, Check, build, expect, label, shaken
from genzoo.testing.fitting import started

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

STATES = 2


@dataclass(frozen=True)
class Pair:
    """A model at one shape, and a trainer or sampler that can use it."""

    zoo: "Zoo"
    model: str
    shape: tuple[int, ...]
    partner: str


def trains(pair: Pair) -> None:
    """One step gives finite losses and moves what is trained: some weight, all of them finite."""
    try:
        training = started(pair.zoo, pair.partner, pair.model, pair.shape, batch_size=16)
    except (GenZooError, ValueError):
        return
    before = {key: value.clone() for key, value in training.tensors().items()}
    losses = training.step()
    after = training.tensors()
    expect(all(loss.isfinite() for loss in losses.values()), "a loss is not finite")
    expect(all(value.isfinite().all() for value in after.values()), "a weight is not finite after a step")
    expect(any(not torch.equal(value, after[key]) for key, value in before.items()), "nothing moves")


def samples(pair: Pair) -> None:
    """The first states of three rows have the model's shape, and the last of them is finite."""
    model = shaken(pair.zoo, pair.model, pair.shape)
    with torch.no_grad():
        steps = pair.zoo.sampler(pair.partner).steps(model, 3, torch.Generator().manual_seed(0))
        states = list(itertools.islice(steps, STATES))
    expect(bool(states), "it yields no state")
    expect(all(tuple(state.shape) == (3, *pair.shape) for state in states), f"a state is {tuple(states[0].shape)}")
    expect(states[-1].isfinite().all(), "a state is not finite")


_CHECKS: dict[str, Callable[[Pair], None]] = {"trainer": trains, "sampler": samples}


def combination_checks(zoo: "Zoo", plugin: str) -> list[Check]:
    """Of a plugin's models with everybody's trainers and samplers, and of its own with everybody's models."""
    return [
        Check(f"{name}/combination/{_CHECKS[role].__name__}[{partner}-{label(shape)}]",
              partial(_CHECKS[role], Pair(zoo, name, shape, partner)))
        for name, shape, model in _models(zoo)
        for role in _CHECKS
        for partner in zoo.names(role)
        if plugin in (zoo.owner("model", name).name, zoo.owner(role, partner).name) and _fits(zoo, role, partner, model)
    ]  # fmt: skip


def _models(zoo: "Zoo") -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """Each model at the first shape that it can be built for; of the others its own checks tell."""
    for name in zoo.names("model"):
        for shape in (GREY, POINTS):
            with suppress(GenZooError):
                yield name, shape, build(zoo, name, shape)
                break


def _fits(zoo: "Zoo", role: str, partner: str, model: Any) -> bool:
    try:
        return supports(model, needs(zoo, role, partner))
    except GenZooError:
        return False
