"""A model of one point and data of few rows: trainings whose every number is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from genzoo.config import TrainConfig, checked
from genzoo.jobs import Job, prepare
from genzoo.protocols import Batch
from genzoo.zoo import Zoo

FAMILIES: dict[str, dict[str, Any]] = {
    "vae": {"width": 8, "latent": 2},
    "sngan": {"width": 8, "latent": 2},
    "realnvp": {"width": 8, "couplings": 2},
    "ebm": {"width": 8},
    "ddpm": {"width": 8},
}
"""The built-in models, as small as they get."""


class Rows:
    """Examples that are a tensor."""

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> Batch:
        return Batch(self.x[indices])


class Point(nn.Module):
    """A point in the plane."""

    shape, trainer, sampler = (2,), "squares", "none"

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2))


@dataclass
class Squares:
    """Gradient descent on |x - at|^2 / 2, whose gradient is at - mean(x); ``before`` sees the number of each step."""

    lr: float = 0.1
    before: Callable[[int], object] = id
    rates: list[float] = field(default_factory=list)
    needs: ClassVar[tuple[type, ...]] = ()

    def optimizers(self, model: Point) -> dict[str, Optimizer]:
        self.sgd = SGD(model.parameters(), lr=self.lr)
        return {"squares": self.sgd}

    def losses(self, model: Point, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        self.rates.append(self.sgd.param_groups[0]["lr"])
        self.before(len(self.rates))
        yield "squares", 0.5 * ((next(batches).x - model.at) ** 2).sum(1).mean()


def config(**changes: Any) -> TrainConfig:
    """A training of 20 steps without frills, changed as asked."""
    plain = {"model": "point", "data": "rows", "budget": "20steps", "batch_size": 4, "clip": 0, "warmup": 0, "ema": 0}
    return checked(TrainConfig, {**plain, **changes}, "test")


def family(model: str, **changes: Any) -> TrainConfig:
    """A short training of a built-in model, small, on points unless changed."""
    short = {"data": "8gaussians", "budget": "12steps", "batch_size": 16, "model_options": FAMILIES[model]}
    return checked(TrainConfig, {"model": model, **short, **changes}, "test")


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def job(config: TrainConfig) -> Job:
    """What ``config`` says, checked."""
    return prepare(Zoo.load(), config)
