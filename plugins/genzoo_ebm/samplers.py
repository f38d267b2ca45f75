"""The walk along the gradient of an energy."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import Score, as_score, supports


@runtime_checkable
class Walkable(Protocol):
    """A model that says where walks over it begin and how long their steps are."""

    step: float

    def start(self, n: int, generator: Generator) -> Tensor:
        """First states, [n, *shape]."""


def walk(score: Score, x: Tensor, step: float, generator: Generator) -> Iterator[Tensor]:
    """Unadjusted Langevin steps without an end: x <- x + (e / 2) grad log p(x) + sqrt(e) N(0, I)."""
    while True:
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        x = x + 0.5 * step * score.score(x) + step**0.5 * noise
        yield x


@dataclass(frozen=True, kw_only=True)
class Langevin:
    """``num_steps`` unadjusted Langevin steps of size e, from the model's own start or from N(0, I).

    Its stationary distribution on N(0, s^2) has variance s^2 / (1 - e / (4 s^2)).

    Reference: Bayesian Learning via Stochastic Gradient Langevin Dynamics (Welling and Teh, 2011).

    Args:
        num_steps: Gradient steps.
        step: Step size e, in squared data units; the model's own by default, or 0.01.
    """

    num_steps: PositiveInt = 300
    step: PositiveFloat | None = None
    needs: ClassVar[tuple[type, ...]] = (Score,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """Every state of the walk."""
        states = walk(as_score(model), first_states(model, n, generator), step_size(self.step, model), generator)
        yield from itertools.islice(states, self.num_steps)

    def expected_std(self, model: Any, std: float) -> float:
        """The standard deviation it converges to on N(0, std^2)."""
        return std / (1 - step_size(self.step, model) / (4 * std**2)) ** 0.5


def step_size(asked: float | None, model: Any) -> float:
    """What was asked for, else the model's own, else 0.01."""
    if asked is not None:
        return asked
    return model.step if supports(model, (Walkable,)) else 0.01


def first_states(model: Any, n: int, generator: Generator) -> Tensor:
    """The model's own start, or N(0, I)."""
    if supports(model, (Walkable,)):
        return model.start(n, generator)
    return torch.randn((n, *model.shape), generator=generator, device=generator.device)
