"""The only training loop: it takes a trainer's losses and does everything else.

One step is one run of ``trainer.losses``: for every ``(name, loss)`` it yields, the host back-propagates, averages the
gradients over the processes, clips them and steps that optimizer. Learning rates warm up linearly and decay as a
cosine of the spent fraction of the budget. Batch b is rows [bB, (b+1)B) of an endless stream of seeded permutations,
so its position is one number and resuming is exact; with several processes each takes every world-th row of it.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from genzoo.checkpoint import load_checkpoint, save_checkpoint
from genzoo.config import TrainConfig
from genzoo.ema import Ema
from genzoo.errors import InvalidConfig, Interrupted, TrainingFailed
from genzoo.precision import allows_bf16, autocast, choose_precision
from genzoo.progress import Progress, StopSignals, peak_memory_mb
from genzoo.protocols import Batch, Trainer

CHECKPOINT_SECONDS = 60.0


class Examples(Protocol):
    """What the loop reads: examples by index."""

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Batch:
        """The examples at ``indices``."""


class Batches:
    """An endless iterator over seeded epochs; ``drawn`` batches is its whole state."""

    def __init__(self, examples: Examples, config: TrainConfig, accelerator: Accelerator) -> None:
        self._examples, self._size, self._seed = examples, config.batch_size, config.seed
        self._rank, self._world = accelerator.process_index, accelerator.num_processes
        self._device = accelerator.device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)
        self.drawn = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        indices = self._indices(self.drawn)[self._rank :: self._world]
        self.drawn += 1
        return self._take(indices)

    def whole(self, number: int) -> Batch:
        """Batch ``number`` with the rows of every process."""
        return self._take(self._indices(number))

    def _take(self, indices: Tensor) -> Batch:
        batch = self._examples.batch(indices)
        y = None if batch.y is None else batch.y.to(self._device, non_blocking=True)
        return Batch(batch.x.to(self._device, non_blocking=True), y)

    def _indices(self, number: int) -> Tensor:
        start, taken, n = number * self._size, [], len(self._examples)
        while (left := (number + 1) * self._size - start) > 0:
            row = start % n
            taken.append(self._permutation(start // n)[row : row + left])
            start += len(taken[-1])
        return torch.cat(taken)

    def _permutation(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self._examples), generator=generator)
        return self._order


@dataclass
class Fit:
    """A finished training: the EMA weights and what they cost (seconds of the loop, on this machine)."""

    model: nn.Module
    steps: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    precision: str = "float32"
    peak_memory_mb: float = 0.0
    parameters: dict[str, int] = field(default_factory=dict)


class Loop:
    """One training in progress; :meth:`state` is everything that a checkpoint must hold."""

    def __init__(
        self, model: nn.Module, trainer: Trainer, examples: Examples, config: TrainConfig, accelerator: Accelerator
    ) -> None:
        self.accelerator, self.config, self.trainer = accelerator, config, trainer
        self.model = model.to(accelerator.device).train()
        self.precision = choose_precision(config.precision, allows_bf16(trainer, model), accelerator.device)
        self.batches = Batches(examples, config, accelerator)
        self.networks: nn.Module | None = getattr(trainer, "networks", lambda: None)()
        if self.networks is not None:
            self.networks.to(accelerator.device)
        self._initialize()
        self.ema = Ema(self.model, config.ema)
        self.optimizers = dict(trainer.optimizers(self.model))
        self.base_rates = {name: [g["lr"] for g in o.param_groups] for name, o in self.optimizers.items()}
        self.step, self.seconds = 0, 0.0

    def _initialize(self) -> None:
        torch.manual_seed(self.config.seed)
        if hasattr(self.trainer, "initialize"):
            self.trainer.initialize(self.model, self.batches.whole(0))
        torch.manual_seed(self.config.seed * 1_000_003 + self.accelerator.process_index)

    @property
    def images_seen(self) -> int:
        return self.batches.drawn * self.config.batch_size

    def take_step(self, fraction: float) -> dict[str, float]:
        """One run of the trainer's losses at this fraction of the budget; returns the losses by name."""
        self._set_rates(fraction)
        losses: dict[str, float] = {}
        steps = self.trainer.losses(self.model, self.batches)
        while (item := self._next_loss(steps)) is not None:
            name, loss = item
            losses[name] = self._descend(self.optimizers[name], loss)
            if not math.isfinite(losses[name]):
                break
        self.step += 1
        return losses

    def _next_loss(self, steps: Iterator[tuple[str, Tensor]]) -> tuple[str, Tensor] | None:
        with autocast(self.precision, self.accelerator.device):
            return next(steps, None)

    def _descend(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
        optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if self.accelerator.num_processes > 1:
            self._average_gradients(parameters)
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(parameters, self.config.clip)
        value = loss.item()
        if math.isfinite(value):
            optimizer.step()
        return value

    def _average_gradients(self, parameters: list[nn.Parameter]) -> None:
        flat = torch.cat([p.grad.flatten() for p in parameters])  # type: ignore[union-attr]
        flat = self.accelerator.reduce(flat, reduction="mean")
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter)

    def _set_rates(self, fraction: float) -> None:
        warm = min(1.0, (fraction + 1e-3) / self.config.warmup) if self.config.warmup else 1.0
        factor = warm * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
        for name, optimizer in self.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.base_rates[name], strict=True):
                group["lr"] = rate * factor

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        state = {
            "step": self.step,
            "drawn": self.batches.drawn,
            "seconds": self.seconds,
            "processes": self.accelerator.num_processes,
            "random": torch.get_rng_state(),
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
        }
        if self.accelerator.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state(self.accelerator.device)
        if hasattr(self.trainer, "state_dict"):
            state["trainer"] = self.trainer.state_dict()
        if self.networks is not None:
            state["networks"] = self.networks.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        if state["processes"] != self.accelerator.num_processes:
            raise InvalidConfig(f"the checkpoint was written by {state['processes']} processes: resume with as many")
        self.step, self.batches.drawn, self.seconds = state["step"], state["drawn"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if "trainer" in state:
            self.trainer.load_state_dict(state["trainer"])  # type: ignore[attr-defined]
        if self.networks is not None:
            self.networks.load_state_dict(state["networks"])
        torch.set_rng_state(state["random"])
        if "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"], self.accelerator.device)


class Checkpoints:
    """Where, when and what was saved last; without a folder nothing is."""

    def __init__(self, folder: Path | None, loop: Loop) -> None:
        self._folder, self._loop = folder and folder / "checkpoint", loop
        self._due, self.last = loop.seconds + CHECKPOINT_SECONDS, loop.step

    def save_if_due(self) -> None:
        if self._loop.seconds >= self._due:
            self.save()

    def save(self) -> None:
        loop = self._loop
        if self._folder is not None:
            rank, barrier = loop.accelerator.process_index, loop.accelerator.wait_for_everyone
            save_checkpoint(self._folder, loop.state(), loop.step, rank, barrier)
        self._due, self.last = loop.seconds + CHECKPOINT_SECONDS, loop.step


def fit(
    model: nn.Module,
    trainer: Trainer,
    examples: Examples,
    config: TrainConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    progress: bool = False,
    track: str | None = None,
) -> Fit:
    """Train until ``config.budget`` is spent and return the exponential moving average of the weights.

    With a ``folder``, writes ``log.jsonl`` and checkpoints into it; ``resume`` goes on from the last one, exactly.
    Raises :class:`TrainingFailed` at a loss that is not finite and :class:`Interrupted` on SIGINT or SIGTERM, after a
    checkpoint.
    """
    accelerator = Accelerator(log_with=track, project_dir=folder) if track else Accelerator()
    if config.batch_size % accelerator.num_processes:
        raise InvalidConfig(f"batch_size {config.batch_size} is not a multiple of {accelerator.num_processes} processes")
    loop = Loop(model, trainer, examples, config, accelerator)
    if resume and folder is not None and (state := load_checkpoint(folder / "checkpoint", accelerator.process_index)):
        loop.load(state)
    if track:
        accelerator.init_trackers("genzoo", config=config.model_dump(mode="json"))
    with Progress(config, folder, accelerator, loop.step, show=progress) as report, StopSignals() as stop:
        _run(loop, Checkpoints(folder, loop), report, stop)
    if track:
        accelerator.end_training()
    return _result(loop)


def _run(loop: Loop, checkpoints: Checkpoints, report: Progress, stop: StopSignals) -> None:
    budget, started, before = loop.config.budget, time.perf_counter(), loop.seconds
    while True:
        loop.seconds = before + time.perf_counter() - started
        loop.seconds, stopping = _agree(loop, stop)
        fraction = budget.fraction(images=loop.images_seen, steps=loop.step, seconds=loop.seconds)
        if fraction >= 1:
            break
        if stopping:
            checkpoints.save()
            raise Interrupted(f"stopped at step {loop.step}, checkpoint written: go on with --resume")
        losses = loop.take_step(fraction)
        _check_finite(losses, loop, checkpoints)
        loop.ema.update(loop.step)
        report.update(loop.step, loop.images_seen, loop.seconds, fraction, losses)
        checkpoints.save_if_due()
    checkpoints.save()


def _agree(loop: Loop, stop: StopSignals) -> tuple[float, bool]:
    """Seconds and the wish to stop as the slowest process sees them, so that all leave the loop at one step."""
    if loop.accelerator.num_processes == 1:
        return loop.seconds, stop.asked
    seen = torch.tensor([loop.seconds, float(stop.asked)], device=loop.accelerator.device, dtype=torch.float64)
    mean = loop.accelerator.reduce(seen, reduction="mean")
    return mean[0].item(), mean[1].item() > 0


def _check_finite(losses: dict[str, float], loop: Loop, checkpoints: Checkpoints) -> None:
    for name, value in losses.items():
        if not math.isfinite(value):
            where = f"the last good checkpoint is of step {checkpoints.last}" if checkpoints.last else "no checkpoint yet"
            raise TrainingFailed(f"loss {name!r} is {value} at step {loop.step}; {where}: try a lower learning rate")


def _result(loop: Loop) -> Fit:
    return Fit(
        model=loop.ema.model,
        steps=loop.step,
        images_seen=loop.images_seen,
        seconds=loop.seconds,
        precision=loop.precision,
        peak_memory_mb=peak_memory_mb(loop.accelerator.device),
        parameters={
            "total": _count(loop.model),
            "training": _count(loop.model) + (_count(loop.networks) if loop.networks is not None else 0),
        },
    )


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
