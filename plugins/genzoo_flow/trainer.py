"""Maximum likelihood."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Density
from genzoo.protocols import Batch


@dataclass(frozen=True, kw_only=True)
class MaximumLikelihood:
    """Adam on -E[log p(x)] in nats per dimension; images are dequantised by uniform noise of one level's width.

    References: Density Estimation Using Real NVP (Dinh et al., 2017); Flow++ (Ho et al., 2019), section 3.1, for why
    dequantisation gives a lower bound of the discrete likelihood.

    Args:
        lr: Learning rate.
        levels: Grey levels of the data; None for continuous data.
    """

    lr: PositiveFloat = 1e-3
    levels: int | None = None
    needs: ClassVar[tuple[type, ...]] = (Density,)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Data-dependent initialisation of the layers that have one."""
        if hasattr(model, "initialize"):
            model.initialize(self._dequantise(batch.x))

    def losses(self, model: Density, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        x = self._dequantise(next(batches).x)
        yield "model", -model.log_prob(x).mean() / x[0].numel()

    def _dequantise(self, x: Tensor) -> Tensor:
        return x if self.levels is None else x + (torch.rand_like(x) - 0.5) * (2 / (self.levels - 1))
