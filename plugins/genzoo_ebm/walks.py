"""Walks along the gradient of an energy, and what a model says of its own."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from genzoo.capabilities import as_score, supports


@runtime_checkable
class Walkable(Protocol):
    """A model that says where walks over it begin, how long their steps are and how many they take.

    ``step`` is the step size of Langevin; first states have the density ``log_start``, and each walk may choose among
    ``candidates`` of them. It may have a ``reach``, beyond which no drift of a step goes in any coordinate.
    """

    step: float | Tensor
    num_steps: int | Tensor
    candidates: int

    def start(self, n: int, generator: Generator) -> Tensor:
        """First states, [n, *shape]."""

    def log_start(self, x: Tensor) -> Tensor:
        """log q(x) of a first state, [n], up to a constant."""

    def confine(self, x: Tensor) -> Tensor:
        """The nearest place to x [n, *shape] where data can be."""


def walk(model: Any, x: Tensor, step: float, generator: Generator, temperature: float = 1.0) -> Iterator[Tensor]:
    """Unadjusted Langevin steps without an end: x <- x + (e / 2) grad log p(x) + sqrt(e T) N(0, I).

    A model may say how far the drift of a step ``reach``es in any coordinate, and keep every state where data can be.

    References: Sampling from a Log-Concave Distribution with Projected Langevin Monte Carlo (Bubeck et al., 2018); The
    Tamed Unadjusted Langevin Algorithm (Brosse et al., 2019), for drifts of limited length.
    """
    score, confine, reach = as_score(model).score, confine_of(model), getattr(model, "reach", math.inf)
    while True:
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        with torch.no_grad():
            drift = (0.5 * step * score(x)).clamp(-reach, reach)
        x = confine(x + drift + (step * temperature) ** 0.5 * noise)
        yield x


def confine_of(model: Any) -> Callable[[Tensor], Tensor]:
    """The model's ``confine``; the identity where there is none."""
    return model.confine if supports(model, (Walkable,)) else _as_it_is


def _as_it_is(x: Tensor) -> Tensor:
    return x


def step_size(asked: float | None, model: Any) -> float:
    """What was asked for, else the model's own, else 0.01."""
    if asked is not None:
        return asked
    return float(model.step) if supports(model, (Walkable,)) else 0.01


def own_num_steps(model: Any) -> int:
    """How many steps a walk takes: what the model says, or 300."""
    return int(model.num_steps) if supports(model, (Walkable,)) else 300


def own_candidates(model: Any) -> int:
    """How many first states a walk may choose from: what the model says, or 1."""
    return model.candidates if supports(model, (Walkable,)) else 1


def first_states(model: Any, n: int, generator: Generator) -> Tensor:
    """The model's own start, or N(0, I)."""
    if supports(model, (Walkable,)):
        return model.start(n, generator)
    return torch.randn((n, *model.shape), generator=generator, device=generator.device)


def log_start(model: Any, x: Tensor) -> Tensor:
    """The logarithm of the density of first states, [n], up to a constant."""
    if supports(model, (Walkable,)):
        return model.log_start(x)
    return -0.5 * x.square().flatten(1).sum(1)


def fit_base(model: Any, x: Tensor) -> None:
    """Let a model that tilts another density fit that to x [n, *shape]."""
    if hasattr(model, "initialize"):
        model.initialize(x)


def temperature_of(model: Any) -> float:
    """What the model calls its temperature, or 1."""
    return float(getattr(model, "temperature", 1.0))


def fork(device: torch.device) -> Generator:
    """A generator seeded by the global random state, which training uses."""
    return Generator(device).manual_seed(int(torch.randint(2**62, ())))
