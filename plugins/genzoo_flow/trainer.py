"""Maximum likelihood."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Density, labelled
from genzoo.protocols import Batch


@dataclass(frozen=True, kw_only=True)
class MaximumLikelihood:
    """Adam on -E[log p(x)] in nats per dimension; images are dequantised by uniform noise of one level's width.

    References: Density Estimation Using Real NVP (Dinh et al., 2017); Flow++ (Ho et al., 2019), section 3.1, for why
    dequantisation gives a lower bound of the discrete likelihood.

    Args:
        lr: Learning rate.
        label_dropout: How often a conditional model is not told the class, so that it learns p(x) too.
        levels: Grey levels of the data; None for continuous data.
    """

    lr: PositiveFloat = 2e-3
    label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    levels: int | None = None
    needs: ClassVar[tuple[type, ...]] = (Density,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr, fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Data-dependent initialisation of the layers that have one."""
        if hasattr(model, "initialize"):
            model.initialize(self._dequantise(batch.x))

    def losses(self, model: Density, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        x = self._dequantise(batch.x)
        yield "model", -labelled(model, batch.y, self.label_dropout).log_prob(x).mean() / x[0].numel()

    def _dequantise(self, x: Tensor) -> Tensor:
        return x if self.levels is None else x + (torch.rand_like(x) - 0.5) * (2 / (self.levels - 1))
