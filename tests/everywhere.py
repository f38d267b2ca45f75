"""What every process of ``torchrun tests/everywhere.py FOLDER`` does; each leaves its outcomes in FOLDER."""

import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from small import FAMILIES, Point, Rows, Squares, config
from torch import Tensor

from genzoo.cli import main
from genzoo.errors import GenZooError
from genzoo.protocols import Batch
from genzoo.training import fit

TRAINED: dict[str, dict[str, Any]] = {
    **{model: {f"model.{name}": value for name, value in options.items()} for model, options in FAMILIES.items()},
    "mppca": {"model.components": 3, "trainer.num_examples": 200},
}
"""The models with their options: one a family, and one that is fitted without a gradient."""


class Exploding(Squares):
    """One process's loss is not finite at step 3."""

    def losses(self, model: Point, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        for name, loss in super().losses(model, batches):
            here = PartialState().process_index == 1 and len(self.rates) == 3
            yield name, loss * (math.nan if here else 1.0)


def stop_one(step: int) -> None:
    if PartialState().process_index == 1 and step == 5:
        os.kill(os.getpid(), signal.SIGTERM)


def outcome(trainer: Any, folder: Path) -> str:
    """How a training of the small model ends."""
    try:
        fit(Point(), trainer, Rows(torch.randn(10, 2)), config(), folder)
    except GenZooError as error:
        return str(error)
    return "done"


def command(model: str, folder: Path, batch_size: int) -> list[str]:
    """50 steps on points."""
    options = [f"{name}={value}" for name, value in TRAINED[model].items()]
    settings = [word for option in [*options, f"batch_size={batch_size}"] for word in ("--set", option)]
    return ["train", model, "--data", "8gaussians", "--budget", "50steps", "--out", str(folder / model), *settings]


def everything(folder: Path) -> dict[str, Any]:
    """Train every family, then what goes wrong in one process alone."""
    return {
        "odd": main(command("vae", folder / "odd", 33)),
        "status": {model: main(command(model, folder, 32)) for model in TRAINED},
        "exploded": outcome(Exploding(), folder / "exploded"),
        "stopped": outcome(Squares(before=stop_one), folder / "stopped"),
    }


if __name__ == "__main__":
    found = everything(Path(sys.argv[1]))
    Path(sys.argv[1], f"rank{PartialState().process_index}.json").write_text(json.dumps(found))
