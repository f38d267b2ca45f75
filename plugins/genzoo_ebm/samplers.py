"""Langevin dynamics, from a start that may be chosen by its energy."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import Score
from genzoo_ebm.walks import first_states, step_size, walk


@dataclass(frozen=True, kw_only=True)
class Langevin:
    """``num_steps`` unadjusted Langevin steps of size e, from the model's own start or from N(0, I).

    Its stationary distribution on N(0, s^2) has variance s^2 / (1 - e / (4 s^2)).

    Reference: Bayesian Learning via Stochastic Gradient Langevin Dynamics (Welling and Teh, 2011).

    Args:
        num_steps: Gradient steps.
        step: Step size e, in squared units of the model's ``spread`` (of the data, where it has none); the model's own
            by default, or 0.01.
        temperature: T of the noise sqrt(e T) N(0, I); below 1 the samples are more likely and less varied.
    """

    num_steps: PositiveInt = 300
    step: PositiveFloat | None = None
    temperature: NonNegativeFloat = 1.0
    low_precision: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (Score,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """Every state of the walk."""
        x = first_states(model, n, generator)
        step = step_size(self.step, model)
        states = walk(model, x, step, generator, temperature=self.temperature)
        yield from itertools.islice(states, self.num_steps)

    def expected_std(self, model: Any, std: float) -> float:
        """The standard deviation it converges to on N(0, std^2)."""
        return std * (self.temperature / (1 - step_size(self.step, model) / (4 * std**2))) ** 0.5
