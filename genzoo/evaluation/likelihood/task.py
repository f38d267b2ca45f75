"""What every kind of likelihood shares: the examples, the noise within a level, the count of calls, the result."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import subset
from genzoo.evaluation.parts import Likelihood, Unit

DEQUANTISED, GIVEN_LABELS = "uniform dequantisation", "given labels"
NUMBERS_AT_ONCE = 1 << 20
ROWS_AT_ONCE = 4096
ON_A_LEVEL = 0.01


class NoLikelihood(Exception):
    """The reason."""


@dataclass(frozen=True)
class Task:
    """Examples ``x`` [n, *shape] with so many grey levels (None for points), and how much work they are worth.

    ``labels`` [n] are theirs, where the model is one of p(x | label).
    """

    x: Tensor
    levels: int | None
    seed: int
    full: bool
    labels: Tensor | None = None

    @property
    def dimension(self) -> int:
        """d, the numbers of one example."""
        return self.x[0].numel()

    @property
    def rows_at_once(self) -> int:
        """How many rows a network is given together."""
        return max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // self.dimension))

    def cut(self, n: int) -> "Task":
        """A random ``n`` of the examples, fixed by the seed; all of them where the work is to be done in full."""
        if self.full or n >= len(self.x):
            return self
        rows = subset(len(self.x), n, self.seed).to(self.x.device)
        return replace(self, x=self.x[rows], labels=None if self.labels is None else self.labels[rows])

    def generator(self) -> Generator:
        """A fresh generator on the CPU, so that every machine draws the same noise."""
        return Generator().manual_seed(self.seed)

    def continuous(self, generator: Generator | None = None) -> Tensor:
        """Points as they are; images with noise uniform within a level, the same for every kind unless given."""
        if self.levels is None:
            return self.x
        noise = torch.rand(self.x.shape, generator=generator or self.generator()).to(self.x) - 0.5
        return self.x + 2 / (self.levels - 1) * noise

    @property
    def log_volume(self) -> float:
        """The log volume of the cube of one image, d log D with D = 2 / (L - 1); 0 for points."""
        return 0.0 if self.levels is None else self.dimension * math.log(2 / (self.levels - 1))

    def kind(self, statement: str, *how: str, of_density: bool) -> str:
        """``statement (how, how)``; a density of images is one after dequantisation."""
        steps = (*how, *((DEQUANTISED,) if of_density and self.levels is not None else ()))
        return f"{statement} ({', '.join(steps)})" if steps else statement

    def batches(self, model: Any, x: Tensor, rows: int | None = None) -> Iterator[tuple[Any, Tensor]]:
        """The parts of ``x`` [n, ...], each with the model given the labels of its rows, if there are any."""
        parts = x.split(rows or self.rows_at_once)
        if self.labels is None:
            return ((model, part) for part in parts)
        labels = self.labels.split(rows or self.rows_at_once)
        return ((model.given(y), part) for y, part in zip(labels, parts, strict=True))

    def batched(
        self, function: Callable[[Any, Tensor], Tensor], model: Any, x: Tensor, rows: int | None = None
    ) -> Tensor:
        """``function(model, part)`` of every part of ``x``, [n] float64 on the CPU."""
        return torch.cat([function(given, part).double().cpu() for given, part in self.batches(model, x, rows)])

    def refuse_labels(self, how: str) -> None:
        """Raise :class:`NoLikelihood` where there are labels: p(x | y) has a partition function for each of them."""
        if self.labels is not None:
            raise NoLikelihood(f"{how}: an energy given labels has a partition function for each, none is computed")


@dataclass(frozen=True)
class Statement:
    """log p or log P of each example, [n] float64 nats; ``shared_se`` is of an error that all of them share."""

    log_likelihood: Tensor
    kind: str
    calls: float
    shared_se: float = 0.0

    def as_likelihood(self, task: Task) -> Likelihood:
        """The mean loss in the unit of the task and its standard error; a reason where something is not finite."""
        n = len(self.log_likelihood)
        num_bad = int((~self.log_likelihood.isfinite()).sum())
        if num_bad:
            reason = f"{self.kind}: log-likelihood is not finite for {num_bad} of {n} test examples"
            return none(task, reason, n)
        scale = 1 if task.levels is None else task.dimension * math.log(2)
        loss, shared = -self.log_likelihood / scale, self.shared_se / scale
        se = math.hypot((loss.std() / math.sqrt(n)).item(), shared) if n > 1 else None
        kind = self.kind if task.labels is None else f"{self.kind}, {GIVEN_LABELS}"
        return Likelihood(value=loss.mean().item(), unit=unit(task), kind=kind, se=se, n=n, calls=self.calls)


def check_examples(x: Tensor, shape: tuple[int, ...], levels: int | None) -> None:
    """Raise :class:`InvalidSamples` unless ``x`` is float [n, *shape], finite, and on the levels if there are any."""
    if not x.is_floating_point() or tuple(x.shape[1:]) != shape or not len(x):
        found = f"{str(x.dtype)[6:]} {list(x.shape)}"
        raise InvalidSamples(f"the test examples are {found}: a likelihood is of at least one float32 {list(shape)}")
    num_bad = int((~x.isfinite()).flatten(1).any(1).sum())
    if num_bad:
        raise InvalidSamples(f"{num_bad} of {len(x)} test examples hold NaN or infinity: no likelihood is computed")
    if levels is not None:
        level = (x.double() + 1) * ((levels - 1) / 2)
        off = max((level - level.round()).abs().max().item(), -level.min().item(), level.max().item() - levels + 1)
        if off > ON_A_LEVEL:
            raise InvalidSamples(
                f"the test images are up to {off:.3g} levels off the {levels} levels 2k / {levels - 1} - 1 of [-1, 1]: "
                "give the number of levels that they have, in that range"
            )


def unit(task: Task) -> Unit:
    """Nats of points, bits per dimension of images."""
    return "nats" if task.levels is None else "bits/dim"


def none(task: Task, reason: str, n: int = 0) -> Likelihood:
    """No number, and why."""
    return Likelihood(value=None, unit=unit(task), kind="none", n=n, reason=reason)


class Counted:
    """A function of rows that counts them."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function, self.rows = function, 0

    def __call__(self, x: Tensor, *rest: Any) -> Tensor:
        self.rows += len(x)
        return self.function(x, *rest)
