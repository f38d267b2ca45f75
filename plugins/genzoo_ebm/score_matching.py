"""Denoising score matching of the gradient of an energy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Energy, as_energy, expand, labelled
from genzoo.protocols import Batch
from genzoo_ebm.gradients import slope
from genzoo_ebm.walks import fit_base


@dataclass(kw_only=True)
class EnergyScoreMatching:
    """Fit -grad E to the score of the data with noise on it, without walks.

    L = E |sigma grad E(x + sigma z) - z|^2 / d, z ~ N(0, I): at one sigma, E becomes the energy of the data blurred by
    it. With ``sigma_max`` above ``sigma_min``, sigma is drawn between them, uniformly in its logarithm, for every
    example; where x tells its sigma, as in many dimensions, -grad E is the score at that sigma.

    References: A Connection Between Score Matching and Denoising Autoencoders (Vincent, 2011); Learning Energy-Based
    Models in High-Dimensional Spaces with Multi-scale Denoising Score Matching (Li et al., 2019).

    Args:
        lr: Learning rate.
        sigma_min: Standard deviation of the smallest noise, in data units.
        sigma_max: Of the largest; the smallest by default.
    """

    lr: PositiveFloat = 2e-3
    sigma_min: PositiveFloat = 0.1
    sigma_max: PositiveFloat | None = None
    needs: ClassVar[tuple[type, ...]] = (Energy,)

    def __post_init__(self) -> None:
        if self.sigma_max is not None and self.sigma_max < self.sigma_min:
            raise ValueError(f"sigma_max={self.sigma_max} is below sigma_min={self.sigma_min}: it is the larger one")

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr, betas=(0.9, 0.99), fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian to the first batch."""
        fit_base(model, batch.x)

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        sigma, z = expand(self._sigmas(batch.x), batch.x), torch.randn_like(batch.x)
        gradient = slope(as_energy(labelled(model, batch.y)), batch.x + sigma * z)
        yield "model", (sigma * gradient - z).square().mean()

    def _sigmas(self, x: Tensor) -> Tensor:
        ratio = (self.sigma_max or self.sigma_min) / self.sigma_min
        return self.sigma_min * torch.exp(math.log(ratio) * torch.rand(len(x), device=x.device))
