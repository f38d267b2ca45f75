"""What the loop reads: an endless stream of seeded permutations, whose position is one number."""

from collections.abc import Iterator
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor

from genzoo.config import TrainConfig
from genzoo.images import laid_out
from genzoo.protocols import Batch


class Examples(Protocol):
    """What the loop reads: examples by index."""

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Batch:
        """The examples at ``indices``."""


class Batches:
    """An endless iterator over seeded epochs; ``drawn`` batches is its whole state.

    Batch b of size B is rows [bB, (b+1)B) of one permutation after another; with several processes each takes every
    world-th row of it.
    """

    def __init__(self, examples: Examples, config: TrainConfig, accelerator: Accelerator) -> None:
        self._examples, self._size, self._seed = examples, config.batch_size, config.seed
        self._rank, self._world = accelerator.process_index, accelerator.num_processes
        self._device = accelerator.device
        self._epoch: int | None = None
        self._order = torch.empty(0, dtype=torch.long)
        self.drawn = 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        indices = self._indices(self.drawn)[self._rank :: self._world]
        self.drawn += 1
        return self._take(indices)

    def whole(self, number: int) -> Batch:
        """Batch ``number`` with the rows of every process; -1 is the one before the first."""
        return self._take(self._indices(number))

    def _take(self, indices: Tensor) -> Batch:
        batch = self._examples.batch(indices)
        y = None if batch.y is None else batch.y.to(self._device, non_blocking=True)
        return Batch(laid_out(batch.x.to(self._device, non_blocking=True)), y)

    def _indices(self, number: int) -> Tensor:
        epoch, row = divmod(number * self._size, len(self._examples))
        rows = self._permutation(epoch)[row : row + self._size]
        while (missing := self._size - len(rows)) > 0:
            epoch += 1
            rows = torch.cat([rows, self._permutation(epoch)[:missing]])
        return rows

    def _permutation(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._epoch, self._order = epoch, torch.randperm(len(self._examples), generator=generator)
        return self._order
