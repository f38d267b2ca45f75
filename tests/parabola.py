"""An energy in closed form for tests of trainers, normal data, and the contract's loop."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.protocols import Batch
from genzoo_ebm.buffer import Walks, state_of


class Parabola(nn.Module):
    """E(x) = (k / 2) |x - c|^2, of N(c, 1 / k)."""

    trainer, sampler = "contrastive-divergence", "langevin"

    def __init__(self, steepness: float, dimension: int = 2, temperature: float = 1.0) -> None:
        super().__init__()
        self.shape, self.temperature = (dimension,), temperature
        self.steepness = nn.Parameter(torch.tensor(steepness))
        self.centre = nn.Parameter(torch.zeros(dimension))

    def energy(self, x: Tensor) -> Tensor:
        return 0.5 * self.steepness * ((x - self.centre) ** 2).sum(1)


def data(std: float, n: int = 4000, dimension: int = 2, mean: float = 0.0) -> Iterator[Batch]:
    torch.manual_seed(0)
    while True:
        yield Batch(mean + std * torch.randn(n, dimension), torch.arange(n) % 3)


def train(trainer: Any, model: nn.Module, batches: Iterator[Batch], steps: int) -> None:
    """The contract's loop, with a cosine decay."""
    trainer.initialize(model, next(batches))
    (optimizer,) = trainer.optimizers(model).values()
    rate = optimizer.param_groups[0]["lr"]
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        for _, loss in trainer.losses(model, batches):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def walks_of(trainer: Any) -> Walks:
    """A copy of the walks that it keeps."""
    return Walks(**{name: t.clone() for name, t in state_of(trainer.walks).items()})
