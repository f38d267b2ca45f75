"""The only training: it takes steps of the loop until the budget is spent, and keeps what must not be lost."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from genzoo.batches import Examples
from genzoo.checkpoint import load_checkpoint, save_checkpoint
from genzoo.config import TrainConfig
from genzoo.errors import Interrupted, InvalidConfig, TrainingFailed
from genzoo.loop import Loop
from genzoo.precision import allows_bf16, choose_precision
from genzoo.processes import this_process
from genzoo.progress import Progress, StopSignals
from genzoo.protocols import Trainer
from genzoo.threads import threads_for


@dataclass(frozen=True)
class Upkeep:
    """How a training is kept and watched; nothing of it changes the weights.

    ``resume`` goes on from the last checkpoint, exactly; one is written every ``checkpoint_seconds`` and at the end.
    ``progress`` shows a bar; ``track`` names one of Accelerate's trackers.
    """

    resume: bool = False
    checkpoint_seconds: float = 60.0
    progress: bool = False
    track: str | None = None


@dataclass
class Fit:
    """A finished training: the EMA weights and what they cost; seconds and memory of this process, FLOPs of all."""

    model: nn.Module
    steps: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    precision: str = "float32"
    peak_memory_mb: float | None = None
    parameters: dict[str, int] = field(default_factory=dict)


class Checkpoints:
    """Where, when and what was saved last; without a folder nothing is."""

    def __init__(self, folder: Path | None, every: float, loop: Loop) -> None:
        self._folder, self._every, self._loop = folder and folder / "checkpoint", every, loop
        self._due, self._last = loop.seconds + every, loop.step

    def save_if_due(self) -> None:
        """Save when the interval since the last time is over."""
        if self._loop.seconds >= self._due:
            self.save()

    def save(self) -> None:
        """Save now."""
        loop = self._loop
        if self._folder is not None:
            rank, barrier = loop.accelerator.process_index, loop.accelerator.wait_for_everyone
            save_checkpoint(self._folder, loop.state(), loop.step, rank, barrier)
            self._last = loop.step
        self._due = loop.seconds + self._every

    def __str__(self) -> str:
        return f"the last good checkpoint is of step {self._last}" if self._last else "there is no checkpoint"


def check(model: nn.Module, trainer: Trainer, config: TrainConfig) -> None:
    """Raise :class:`InvalidConfig` for what this machine cannot train as asked, before anything is written."""
    state = this_process()
    if config.batch_size % state.num_processes:
        raise InvalidConfig(f"batch_size {config.batch_size} is not a multiple of {state.num_processes} processes")
    choose_precision(config.precision, allows_bf16(trainer, model), state.device)


def fit(
    model: nn.Module,
    trainer: Trainer,
    examples: Examples,
    config: TrainConfig,
    folder: Path | None = None,
    upkeep: Upkeep | None = None,
) -> Fit:
    """Train until ``config.budget`` is spent and return the exponential moving average of the weights.

    With a ``folder``, writes ``log.jsonl`` and checkpoints into it.

    Raises:
        InvalidConfig: see :func:`check`; or the checkpoint is one of another number of processes.
        TrainingFailed: a loss or its gradient is not finite.
        Interrupted: SIGINT or SIGTERM, after a checkpoint.
        StorageError: the disk refused a write.
    """
    upkeep = upkeep or Upkeep()
    check(model, trainer, config)
    accelerator = Accelerator(mixed_precision="no", log_with=upkeep.track, project_dir=folder)
    loop = Loop(model, trainer, examples, config, accelerator)
    if upkeep.resume and folder and (state := load_checkpoint(folder / "checkpoint", accelerator.process_index)):
        loop.load(state)
    checkpoints = Checkpoints(folder, upkeep.checkpoint_seconds, loop)
    with (
        Progress(config, folder, accelerator, loop.step, show=upkeep.progress) as report,
        StopSignals() as stop,
        threads_for(loop.batches.whole(0).x.numel()),
    ):
        _run(loop, checkpoints, report, stop)
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
            raise Interrupted(f"stopped at step {loop.step}, {checkpoints}: run the same again (train: with --resume)")
        try:
            losses = loop.take_step(fraction)
        except FloatingPointError as error:
            raise TrainingFailed(
                f"{error} at step {loop.step + 1}; {checkpoints}: try a lower learning rate"
            ) from error
        loop.ema.update(loop.step)
        report.update(loop.step, loop.images_seen, loop.seconds, fraction, losses)
        checkpoints.save_if_due()
    checkpoints.save()


def _agree(loop: Loop, stop: StopSignals) -> tuple[float, bool]:
    """The mean of the seconds and whether any was asked to stop, so that all processes leave the loop at one step."""
    if loop.accelerator.num_processes == 1:
        return loop.seconds, stop.asked
    seen = torch.tensor([loop.seconds, float(stop.asked)], device=loop.accelerator.device, dtype=torch.float64)
    mean = loop.accelerator.reduce(seen, reduction="mean")
    return mean[0].item(), mean[1].item() > 0


def _result(loop: Loop) -> Fit:
    flops = torch.tensor(float(loop.meter.total), device=loop.accelerator.device, dtype=torch.float64)
    total, training = _count(loop.model), _count(loop.networks) if loop.networks is not None else 0
    return Fit(
        model=loop.ema.model,
        steps=loop.step,
        images_seen=loop.images_seen,
        seconds=loop.seconds,
        flops=loop.accelerator.reduce(flops).item(),
        precision=loop.precision,
        peak_memory_mb=loop.memory.megabytes(),
        parameters={"total": total, "training": total + training},
    )


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
