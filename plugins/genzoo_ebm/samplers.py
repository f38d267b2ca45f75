"""The walk along the gradient of an energy."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from genzoo.capabilities import Score, as_score


@runtime_checkable
class Start(Protocol):
    """A model that says where walks over it begin."""

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
    """``num_steps`` unadjusted Langevin steps of size ``step``, then (``denoise``) one noiseless half step.

    Its stationary distribution on N(0, s^2) has variance s^2 / (1 - step / (4 s^2)).

    Reference: Bayesian Learning via Stochastic Gradient Langevin Dynamics (Welling and Teh, 2011).

    Args:
        num_steps: Gradient steps.
        step: Step size e, in squared data units.
        denoise: Whether the last state is moved by e score(x) without noise, which takes off the noise that the
            last step put on.
    """

    num_steps: int = 200
    step: float = 0.01
    denoise: bool = False
    needs: ClassVar[tuple[type, ...]] = (Score,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """Every state of the walk."""
        score = as_score(model)
        x = first_states(model, n, generator)
        for x in itertools.islice(walk(score, x, self.step, generator), self.num_steps):
            yield x
        if self.denoise:
            yield x + self.step * score.score(x)

    def expected_std(self, model: Any, std: float) -> float:
        """The standard deviation it converges to on N(0, std^2)."""
        return std / (1 - self.step / (4 * std**2)) ** 0.5


def first_states(model: Any, n: int, generator: Generator) -> Tensor:
    """The model's own start, or N(0, I)."""
    if isinstance(model, Start):
        return model.start(n, generator)
    return torch.randn((n, *model.shape), generator=generator, device=generator.device)
