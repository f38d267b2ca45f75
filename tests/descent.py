"""A training of gradient descent whose every step is known: x <- x - rate (x - mean of the batch)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from small import Point, Rows, Squares, config
from torch import nn

from genzoo.training import Fit, Upkeep, fit

ROWS = Rows(torch.randn(10, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([3.0, -1.0]))
MEAN = ROWS.x.mean(0)
EVERY_STEP = Upkeep(checkpoint_seconds=0)


def train(
    trainer: Any | None = None, model: nn.Module | None = None, folder: Path | None = None, **changes: Any
) -> Fit:
    upkeep = changes.pop("upkeep", EVERY_STEP)
    return fit(model or Point(), trainer or Squares(), ROWS, config(**changes), folder, upkeep)


def at(step: int, action: Callable[[], object]) -> Callable[[int], object]:
    """Does it when the step of that number has begun."""
    return lambda number: action() if number == step else None
