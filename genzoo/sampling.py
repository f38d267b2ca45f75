"""Drawing samples: seeds, batches, the count of network calls, the clock, and what is not finite."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import CAPABILITIES, Conditional
from genzoo.precision import allows_bf16, autocast, choose_precision
from genzoo.protocols import Sampler

NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Samples:
    """What was drawn: ``x`` [n, *shape] on the CPU, float32; seconds of wall time; parameters that were needed."""

    x: Tensor
    calls_per_sample: float | None
    seconds: float | None
    num_not_finite: int
    parameters: int
    precision: str = "float32"


class Counted:
    """A model that counts the rows passed through its capability methods: the honest cost of a sampler."""

    def __init__(self, model: Any, needs: tuple[type, ...] = (), tally: list[int] | None = None) -> None:
        self._model, self._tally = model, [0] if tally is None else tally
        for name in _members((*CAPABILITIES, *needs)):
            if hasattr(model, name):
                member = getattr(model, name)
                setattr(self, name, self._counting(member) if callable(member) else member)
        if isinstance(model, Conditional):
            self.given = lambda labels: Counted(model.given(labels), needs, self._tally)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_model"], name)

    @property
    def rows(self) -> int:
        """Rows passed so far."""
        return self._tally[0]

    def _counting(self, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(x: Tensor, *args: Any, **named: Any) -> Tensor:
            self._tally[0] += len(x)
            return method(x, *args, **named)

        return call


def _members(protocols: tuple[type, ...]) -> set[str]:
    """Methods and data of the protocols; on the proxy itself, because isinstance does not ask ``__getattr__``."""
    names = {name for p in protocols for name in (*vars(p), *getattr(p, "__annotations__", {}))}
    return {name for name in names if not name.startswith("_")} - {"given"}


class UsedParameters:
    """Counts the parameters of the modules that are called, which is what sampling needs of a model.

    A hook goes when its module is called for the first time: calls after that are as fast as without.
    """

    def __init__(self, model: nn.Module) -> None:
        self._used: set[nn.Module] = {model}
        self._hooks = {module: module.register_forward_pre_hook(self._note) for module in model.modules()}

    def _note(self, module: nn.Module, arguments: Any) -> None:
        self._used.add(module)
        self._hooks.pop(module).remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks.values():
            hook.remove()

    def count(self) -> int:
        """The number of scalars so far."""
        return sum(p.numel() for module in self._used for p in module.parameters(recurse=False))


def draw(
    sampler: Sampler,
    model: Any,
    n: int,
    seed: int,
    *,
    precision: str = "auto",
    batch_size: int | None = None,
    watch: Callable[[Tensor], None] | None = None,
) -> Samples:
    """``n`` samples, all randomness from ``seed``; ``watch`` sees every state of the first batch.

    The model is used in eval mode, without gradients of its parameters, in bfloat16 where ``precision`` is ``auto``,
    the hardware has it and the sampler's arithmetic allows it. ``batch_size`` is 1000, or fewer of large images. Rows
    that are not finite are counted and kept: a metric must see them, not a mean over the rest.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    generator = Generator(device).manual_seed(seed)
    counted = Counted(model.eval().requires_grad_(False), sampler.needs)
    precision = choose_precision(precision, allows_bf16(sampler, model), device)
    batch_size = batch_size or max(1, min(1000, NUMBERS_AT_ONCE // math.prod(model.shape)))
    started = time.perf_counter()
    parts = []
    with UsedParameters(model) as used, torch.no_grad(), autocast(precision, device):
        for first in range(0, n, batch_size):
            states = sampler.steps(counted, min(batch_size, n - first), generator)
            parts.append(_last(states, watch if first == 0 else None).float().cpu())
    seconds = time.perf_counter() - started
    x = torch.cat(parts)
    num_not_finite = int((~x.flatten(1).isfinite().all(1)).sum())
    return Samples(x, counted.rows / n, seconds, num_not_finite, used.count(), precision)


def _last(states: Iterator[Tensor], watch: Callable[[Tensor], None] | None) -> Tensor:
    for state in states:
        if watch is not None:
            watch(state)
    return state
