"""Denoising."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import NoisePredictor, expand
from genzoo.protocols import Batch


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """E |eps - eps(x_t, t)|^2 with t uniform: the simplified bound.

    Reference: Denoising Diffusion Probabilistic Models (Ho et al., 2020), equation 14.

    Args:
        lr: Learning rate.
    """

    lr: PositiveFloat = 2e-3
    needs: ClassVar[tuple[type, ...]] = (NoisePredictor,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def losses(self, model: NoisePredictor, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        x = next(batches).x
        abar = torch.cumprod(1 - model.betas, 0)
        t = torch.randint(len(abar), (len(x),), device=x.device)
        eps = torch.randn_like(x)
        x_t = expand(abar[t].sqrt(), x) * x + expand((1 - abar[t]).sqrt(), x) * eps
        yield "model", ((eps - model.predict(x_t, t)) ** 2).mean()
