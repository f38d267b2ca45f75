"""What goes wrong in tests: full disks, and processes that are killed."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from torch import Tensor

from genzoo.checkpoint import save_checkpoint
from genzoo.config import TrainConfig
from genzoo.jobs import execute, prepare
from genzoo.training import Upkeep
from genzoo.zoo import Zoo


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond ``size`` bytes: the write fails half way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def killed(function: Any, *arguments: Any) -> bool:
    """Run a function of this module in a process of its own; whether SIGKILL ended it."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["genzoo.jobs", "diffusers"])  # imported once, however many processes there are
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def write_half_a_checkpoint(folder: Path) -> None:
    """This process's part of step 2 is written, that it is complete is not."""
    save_checkpoint(folder, "new", 2, 0, _die)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(config: TrainConfig, folder: Path, step: int) -> None:
    """Train with a checkpoint after every step; the process kills itself where ``step`` has taken its first loss."""
    job = prepare(Zoo.load(), config)
    losses, begun = job.trainer.losses, []

    def doomed(*arguments: Any) -> Iterator[tuple[str, Tensor]]:
        begun.append(step)
        for item in losses(*arguments):
            yield item
            if len(begun) == step:
                _die()

    object.__setattr__(job.trainer, "losses", doomed)  # trainers may be frozen
    execute(job, folder, Upkeep(checkpoint_seconds=0))
