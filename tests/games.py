"""For tests of the adversarial game: data that count themselves, a step as the host makes it, a bare decoder."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from genzoo.capabilities import Decoder
from genzoo.protocols import Batch
from genzoo_gan.trainer import Adversarial

SMALL: dict[str, Any] = {"latent": 2, "width": 8}
GREY = (1, 8, 8)


def batches(shape: tuple[int, ...] = (2,), n: int = 8) -> Iterator[Batch]:
    """Examples whose every number is how many batches were pulled before, and classes 0, 1, 2, 0, ..."""
    return (Batch(torch.full((n, *shape), float(k)), torch.arange(n) % 3) for k in itertools.count())


def started(trainer: Adversarial, model: nn.Module, shape: tuple[int, ...] = (2,)) -> dict[str, Any]:
    """The trainer ready for the model; its optimizers."""
    trainer.initialize(model, next(batches(shape)))
    return trainer.optimizers(model)


def step(trainer: Adversarial, model: nn.Module, optimizers: dict[str, Any], pulled: Iterator[Batch]) -> list[str]:
    """One step as the host makes it; whose losses there were."""
    names = []
    for name, loss in trainer.losses(model, pulled):
        optimizers[name].zero_grad(set_to_none=True)
        loss.backward()
        optimizers[name].step()
        names.append(name)
    return names


class Line(nn.Module, Decoder):
    """A decoder without a critic: a z of one dimension becomes a point on a line."""

    def __init__(self, num_classes: int | None = None) -> None:
        super().__init__()
        self.shape, self.latent_shape = (2,), (1,)
        self.slope = nn.Parameter(torch.ones(2))
        self.unused = nn.Parameter(torch.ones(2))

    def decode(self, z: Tensor) -> Tensor:
        return z * self.slope
