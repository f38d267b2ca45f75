"""Walks that go on from one training step to the next."""

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Generator, Tensor

from genzoo.capabilities import expand, labelled
from genzoo_ebm.walks import first_states, walk


@dataclass
class Walks:
    """Where walks are [n, *shape], how many steps they have taken [n], and the labels that they are walked with [n]."""

    x: Tensor
    age: Tensor
    labels: Tensor | None = None

    @classmethod
    def begin(cls, model: Any, n: int, labels: Tensor | None, generator: Generator) -> Self:
        """n walks at the model's start, with labels as frequent as in ``labels``."""
        x = first_states(model, n, generator)
        if labels is not None:
            labels = labels[torch.randint(len(labels), (n,), generator=generator, device=x.device)]
        return cls(x, torch.zeros(n, dtype=torch.long, device=x.device), labels)

    def at(self, rows: Tensor) -> "Walks":
        """Those of ``rows``."""
        return Walks(self.x[rows], self.age[rows], None if self.labels is None else self.labels[rows])

    def put(self, rows: Tensor, walks: "Walks") -> None:
        """Let ``walks`` stand in ``rows``."""
        self.x[rows], self.age[rows] = walks.x, walks.age
        if self.labels is not None and walks.labels is not None:
            self.labels[rows] = walks.labels

    def labels_after(self, labels: Tensor | None) -> Tensor | None:
        """Labels of data, then those of the walks; None where either are."""
        return None if labels is None or self.labels is None else torch.cat([labels, self.labels])

    def anew(self, which: Tensor, fresh: "Walks") -> "Walks":
        """``fresh`` ones in the place of ``which`` [n]."""
        x = torch.where(expand(which, self.x).bool(), fresh.x, self.x)
        labels = None if self.labels is None else torch.where(which, fresh.labels, self.labels)  # type: ignore[arg-type]
        return Walks(x, torch.where(which, fresh.age, self.age), labels)

    def advance(self, model: Any, num_steps: int, step: float, generator: Generator) -> "Walks":
        """Langevin steps."""
        states = walk(labelled(model, self.labels), self.x, step, generator)
        return Walks(next(itertools.islice(states, num_steps - 1, None)), self.age + num_steps, self.labels)


class Pace(NamedTuple):
    """How walks go on: ``num_steps`` of size ``step`` at a time, ``lifetime`` of them until they begin anew."""

    num_steps: int
    step: float
    lifetime: int


def gone_on(walks: Walks, model: Any, fresh: Walks, pace: Pace, generator: Generator) -> Walks:
    """As many of ``walks`` as there are ``fresh`` ones, chosen at random, go on in their places.

    Those whose life is over begin anew, as fresh ones.
    """
    rows = torch.randperm(len(walks.x), generator=generator, device=generator.device)[: len(fresh.x)]
    chosen = walks.at(rows)
    walked = chosen.anew(chosen.age >= pace.lifetime, fresh).advance(model, pace.num_steps, pace.step, generator)
    walks.put(rows, walked)
    return walked


def state_of(walks: Walks | None) -> dict[str, Tensor]:
    """Its tensors by name; nothing before the first step."""
    return {name: t for name, t in vars(walks).items() if t is not None} if walks else {}
