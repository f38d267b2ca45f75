"""Langevin dynamics, from a start that may be chosen by its energy."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import Score, as_energy, expand
from genzoo_ebm.walks import first_states, log_start, own_candidates, own_num_steps, step_size, walk


@dataclass(frozen=True, kw_only=True)
class Langevin:
    """``num_steps`` unadjusted Langevin steps of size e, from the model's own start or from N(0, I).

    Its stationary distribution on N(0, s^2) has variance s^2 / (1 - e / (4 s^2)). Where walks cannot find their way
    between modes, they can be told where to begin: each at one of ``candidates`` states x drawn from q, the model's
    start, chosen with probability proportional to exp(-E(x)) / q(x), which costs one call each.

    References: Bayesian Learning via Stochastic Gradient Langevin Dynamics (Welling and Teh, 2011); Using the SIR
    Algorithm to Simulate Posterior Distributions (Rubin, 1988), for the choice.

    Args:
        num_steps: Gradient steps; by default as many as the model is trained for, or 300.
        step: Step size e, in squared units of the data; the model's own by default, or 0.01.
        temperature: T of the noise sqrt(e T) N(0, I); below 1 the samples are more likely and less varied, at 0
            the walk flows downhill.
        candidates: States that each walk's start is chosen from, by their energy; the model's own by default, or 1.
    """

    num_steps: PositiveInt | None = None
    step: PositiveFloat | None = None
    temperature: NonNegativeFloat = 1.0
    candidates: PositiveInt | None = None
    low_precision: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (Score,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """Every state of the walk."""
        x = chosen(model, n, self.candidates or own_candidates(model), generator)
        states = walk(model, x, step_size(self.step, model), generator, self.temperature)
        yield from itertools.islice(states, self.num_steps or own_num_steps(model))

    def expected_std(self, model: Any, std: float) -> float:
        """The standard deviation it converges to on N(0, std^2)."""
        return std * (self.temperature / (1 - step_size(self.step, model) / (4 * std**2))) ** 0.5


def chosen(model: Any, n: int, candidates: int, generator: Generator) -> Tensor:
    """One of ``candidates`` first states for each of n walks, with probability in proportion to exp(-E) / q.

    The largest of log-weights with Gumbel noise is such a choice, and is found one candidate after the other.
    """
    x = first_states(model, n, generator)
    if candidates == 1:
        return x
    best = torch.full((n,), -math.inf, device=x.device)
    for other in itertools.chain([x], (first_states(model, n, generator) for _ in range(candidates - 1))):
        gumbel = -torch.empty(n, device=x.device).exponential_(generator=generator).log()
        score = -as_energy(model).energy(other) - log_start(model, other) + gumbel
        x = torch.where(expand(score > best, x).bool(), other, x)
        best = torch.maximum(score, best)
    return x
