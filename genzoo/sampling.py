"""Drawing samples: seeds, batches, what it costs, and what is not finite.

Rows, seconds and memory are those of the drawing itself. Floating-point operations are counted beside it, on a few rows
that are drawn again and thrown away: counting takes longer than a small network does.
"""

import functools
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from genzoo.capabilities import CAPABILITIES, Conditional, supports
from genzoo.errors import InvalidConfig
from genzoo.flops import count_flops, operator_by_operator
from genzoo.guidance import Guidance, condition
from genzoo.memory import PeakMemory
from genzoo.precision import allows_bf16, autocast, choose_precision
from genzoo.protocols import Sampler

NUMBERS_AT_ONCE = 1 << 22
PROBED, ALIKE = 16, 4
"""Rows on which operations are counted; states in a row that have to cost the same before the rest is not counted."""


@dataclass(frozen=True)
class Samples:
    """What was drawn, and what that cost.

    ``x`` [n, *shape] on the CPU, float32; rows passed through the network and floating-point operations for each sample
    (:mod:`genzoo.flops`); seconds of wall time; parameters that were needed; the peak (:mod:`genzoo.memory`); the
    classes that were asked for, [n], if any were.
    """

    x: Tensor
    calls_per_sample: float | None
    seconds: float | None
    num_not_finite: int
    parameters: int
    precision: str = "float32"
    flops_per_sample: float | None = None
    peak_memory_mb: float | None = None
    labels: Tensor | None = None


class Counted:
    """A model that counts the rows passed through its capability methods: the honest cost of a sampler."""

    def __init__(self, model: Any, needs: tuple[type, ...] = (), tally: Counter[str] | None = None) -> None:
        self._model, self._needs = model, needs
        self.count_into(Counter() if tally is None else tally)
        if supports(model, (Conditional,)):
            self.given = lambda labels: Counted(model.given(labels), needs, self.tally)

    def count_into(self, tally: Counter[str]) -> None:
        """Count there from now on; the model may have been trained or moved in the meantime."""
        self.tally = tally
        for name in _members((*CAPABILITIES, *self._needs)):
            if hasattr(self._model, name):
                member = getattr(self._model, name)
                setattr(self, name, self._counting(name, member) if callable(member) else member)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_model"], name)

    @property
    def rows(self) -> int:
        """Rows passed so far, through whichever method; ``tally`` has them by its name."""
        return self.tally.total()

    def _counting(self, name: str, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(method)
        def call(x: Tensor, *args: Any, **named: Any) -> Tensor:
            self.tally[name] += len(x)
            return method(x, *args, **named)

        return call


def _members(protocols: tuple[type, ...]) -> set[str]:
    """Methods and data of the protocols; on the proxy itself, because isinstance does not ask ``__getattr__``."""
    names = {name for p in protocols for name in (*vars(p), *getattr(p, "__annotations__", {}))}
    return {name for name in names if not name.startswith("_")} - {"given"}


class UsedParameters:
    """Counts the parameters that sampling needs of a model: those of the modules that are called, and what is touched.

    A hook goes when its module is called for the first time: calls after that are as fast as without. A module that is
    used without being called (a flow's inverse) shows in what :meth:`touched` sees of every operator.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model, self._used = model, set[Tensor]()
        self._hooks = {module: module.register_forward_pre_hook(self._note) for module in model.modules()}

    def _note(self, module: nn.Module, arguments: Any) -> None:
        self._used.update(module.parameters(recurse=False))
        self._hooks.pop(module).remove()

    @contextmanager
    def touched(self) -> Iterator[None]:
        """A context in which every parameter that an operator reads is noted."""
        with operator_by_operator(), _Touched(self._model, self._used):
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks.values():
            hook.remove()

    def count(self) -> int:
        """The number of scalars so far."""
        return sum(p.numel() for p in self._used)


class _Touched(TorchDispatchMode):
    """Adds to ``used`` the parameters of the model that operators read, alone or in a list."""

    def __init__(self, model: nn.Module, used: set[Tensor]) -> None:
        super().__init__()
        self._unused, self._used = {id(p): p for p in model.parameters()}, used

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for argument in args:
            for leaf in argument if isinstance(argument, list) else (argument,):
                if id(leaf) in self._unused:
                    self._used.add(self._unused.pop(id(leaf)))
        return func(*args, **(kwargs or {}))


def draw(
    sampler: Sampler,
    model: Any,
    n: int,
    seed: int,
    *,
    labels: Tensor | None = None,
    guidance: Guidance | None = None,
    others: Sequence[Counted] = (),
    precision: str = "auto",
    batch_size: int | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> Samples:
    """``n`` samples, all randomness from ``seed``; ``watch`` sees every state of the first batch.

    A conditional model is asked for ``labels`` [n], by default for every class in turn, as strongly as ``guidance``
    says (:mod:`genzoo.guidance`). ``others`` are the trained models that the sampler has as options: they go where the
    model is, and what they cost counts. The model is used in eval mode, without gradients of its parameters, in
    bfloat16 where ``precision`` is ``auto``, the hardware has it and the sampler's arithmetic allows it. ``batch_size``
    is 1000, or fewer of large images. Rows that are not finite are counted and kept: a metric must see them, not a mean
    over the rest.

    Raises:
        InvalidConfig: labels of a model that is not conditional, not ``n`` of them, or out of range.
    """
    subject = _Subject(model, sampler.needs, choose_labels(model, n, labels, guidance), guidance, tuple(others))
    device, tally = _device(model), Counter[str]()
    subject.modules.to(device).eval().requires_grad_(False)
    precision = choose_precision(precision, allows_bf16(sampler, model), device)
    batch_size = batch_size or max(1, min(1000, NUMBERS_AT_ONCE // math.prod(model.shape)))
    with UsedParameters(subject.modules) as used, torch.no_grad(), autocast(precision, device):
        generator, memory, started = Generator(device).manual_seed(seed), PeakMemory(device), time.perf_counter()
        parts = []
        for first in range(0, n, batch_size):
            rows = range(first, min(first + batch_size, n))
            states = sampler.steps(subject.seen(rows, tally), len(rows), generator)
            parts.append(_last(states, watch if first == 0 else None).float().cpu())
        seconds, peak = time.perf_counter() - started, memory.megabytes()
        with used.touched():
            flops = _flops_per_sample(sampler, subject, range(min(n, batch_size, PROBED)), generator, tally, n)
    x = torch.cat(parts)
    num_not_finite = int((~x.flatten(1).isfinite().all(1)).sum())
    calls = tally.total() / n
    return Samples(x, calls, seconds, num_not_finite, used.count(), precision, flops, peak, subject.labels)


def needed_parameters(
    sampler: Sampler, model: Any, guidance: Guidance | None = None, others: Sequence[Counted] = ()
) -> int:
    """How many parameters ``sampler`` uses of a model, trained or not, in its first states; the model stays as it was.

    Those of the classifier and of the ``others`` count: see :func:`draw`, which counts over all states.
    """
    training, device = model.training, _device(model)
    subject = _Subject(model, sampler.needs, choose_labels(model, 2, None, guidance), guidance, tuple(others))
    with UsedParameters(subject.modules.to(device).eval()) as used, used.touched(), torch.no_grad():
        for _ in itertools.islice(sampler.steps(subject.seen(range(2), Counter()), 2, Generator(device)), ALIKE):
            pass
    model.train(training)
    return used.count()


def choose_labels(model: Any, n: int, labels: Tensor | None = None, guidance: Guidance | None = None) -> Tensor | None:
    """The labels, int64 [n] on the CPU, that are asked for, by default every class in turn; None of a model that knows
    of none.

    Raises:
        InvalidConfig: see :func:`draw`.
    """
    told = model if supports(model, (Conditional,)) else None if guidance is None else guidance.classifier
    if told is None:
        if labels is not None:
            raise InvalidConfig("the model was trained without labels and takes none: leave out the label")
        return None
    num_classes: int = told.num_classes
    if labels is None:
        return torch.arange(n) % num_classes
    dtype = labels.dtype
    if labels.shape != (n,) or dtype.is_floating_point or dtype.is_complex or dtype is torch.bool:
        raise InvalidConfig(f"labels are {dtype} {list(labels.shape)}: give {n} whole numbers, one a sample")
    labels = labels.long().cpu()
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if len(outside):
        raise InvalidConfig(f"label {int(outside[0])} is out of range (allowed: 0 to {num_classes - 1})")
    return labels


@dataclass(frozen=True)
class _Subject:
    """What is drawn from: a model, told of its labels and guided, and others, whose every call is counted."""

    model: Any
    needs: tuple[type, ...]
    labels: Tensor | None
    guidance: Guidance | None
    others: tuple[Counted, ...]

    @property
    def modules(self) -> nn.Module:
        """The networks that take part."""
        judges = [] if self.guidance is None else [self.guidance.classifier]
        return nn.ModuleList(filter(None, [self.model, *judges, *(other._model for other in self.others)]))

    def seen(self, rows: range, tally: Counter[str]) -> Any:
        """As the sampler sees it for these of the samples; from now on ``tally`` counts."""
        for other in self.others:
            other.count_into(tally)
        counted, guidance = Counted(self.model, self.needs, tally), self.guidance
        if self.labels is None:
            return counted
        if guidance is not None and guidance.classifier is not None:
            guidance = replace(guidance, classifier=Counted(guidance.classifier, (), tally))
        return condition(counted, self.labels[rows.start : rows.stop].to(_device(self.model)), guidance)


def _device(model: Any) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _last(states: Iterator[Tensor], watch: Callable[[Tensor], None] | None) -> Tensor:
    for state in states:
        if watch is not None:
            watch(state)
    return state


def _flops_per_sample(
    sampler: Sampler, subject: _Subject, rows: range, generator: Generator, drawn: Counter[str], n: int
) -> float:
    """Counted on ``rows`` until one state costs what the next does and no method is left that drawing used.

    What remains of ``drawn``, the calls that n samples took, then costs the same.
    """
    marks, tally = [(0, 0)], Counter[str]()
    with count_flops() as flops:
        for _ in sampler.steps(subject.seen(rows, tally), len(rows), generator):
            marks.append((flops.total, tally.total()))
            rate = _common_rate(marks[-ALIKE - 1 :])
            if rate is not None and tally.keys() == drawn.keys():
                rest = drawn.total() / n * len(rows) - tally.total()
                return (flops.total + rest * rate) / len(rows)
    return flops.total / len(rows)


def _common_rate(marks: list[tuple[int, int]]) -> float | None:
    """Operations for each row passed through the network, if they are the same between any two marks."""
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(marks)]
    rates = {flops / rows if rows else None for flops, rows in steps}
    return rates.pop() if len(steps) == ALIKE and len(rates) == 1 else None
