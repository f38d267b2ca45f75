"""Denoising at noise levels of a continuum: of a score, and of a denoiser."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.capabilities import Denoiser, NoisyScore, as_denoiser, as_noisy_score, expand, labelled
from genzoo.images import is_image
from genzoo.protocols import Batch
from genzoo_diffusion.drawn import adam, evenly, normal_quantile
from genzoo_diffusion.edm import size_of


@dataclass(frozen=True, kw_only=True)
class DenoisingScoreMatching:
    """E |sigma score(x + sigma z; sigma) + z|^2 with log sigma uniform over the model's range.

    References: A Connection Between Score Matching and Denoising Autoencoders (Vincent, 2011); Generative Modeling by
    Estimating Gradients of the Data Distribution (Song and Ermon, 2019), equation 6.

    Args:
        lr: Learning rate.
        beta2: Of Adam; the papers, whose trainings are long, have 0.999.
        label_dropout: Share of the labels that a conditional model is not told.
    """

    lr: PositiveFloat = 2e-3
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return adam(model, self.lr, self.beta2)

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        noisy = as_noisy_score(labelled(model, batch.y, self.label_dropout))
        low, high = math.log(noisy.sigma_min), math.log(noisy.sigma_max)
        sigma = (low + (high - low) * evenly(len(batch), batch.x.device)).exp()
        z, scale = torch.randn_like(batch.x), expand(sigma, batch.x)
        yield "model", ((scale * noisy.noisy_score(batch.x + scale * z, sigma) + z) ** 2).mean()


@dataclass(frozen=True, kw_only=True)
class PreconditionedDenoising:
    """E (sigma^2 + s^2) / (sigma s)^2 |D(x + sigma z; sigma) - x|^2 with log sigma normal, s the size of the data.

    The weight makes the errors of a preconditioned net alike at every sigma. What a noise hides depends on its size
    against that of the data. So by default the median of sigma is 0.8 s for images, between EDM's 0.6 s (P_mean = -1.2
    at s = 0.5) and EDM2's 1.3 s (-0.4): a P_mean of -0.6 for the black and white of s = 0.7, whose shapes are settled
    at more noise than photographs. For points it is 0.3 s, as their modes are narrow against their spread.

    References: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), section 5;
    Analyzing and Improving the Training Dynamics of Diffusion Models (Karras et al., 2024).

    Args:
        lr: Learning rate.
        beta2: Of Adam; the papers, whose trainings are long, have 0.999.
        mean_log_sigma: P_mean, by default the logarithm of that median.
        std_log_sigma: P_std.
        label_dropout: Share of the labels that a conditional model is not told.
    """

    lr: PositiveFloat = 2e-3
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    mean_log_sigma: float | None = None
    std_log_sigma: PositiveFloat = 1.2
    label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    needs: ClassVar[tuple[type, ...]] = (Denoiser,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return adam(model, self.lr, self.beta2)

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch; sigma is kept within the model's range."""
        batch = next(batches)
        denoiser = as_denoiser(labelled(model, batch.y, self.label_dropout))
        size = getattr(model, "sigma_data", size_of(tuple(batch.x.shape[1:])))
        sigma = self._sigmas(batch, size).clamp(denoiser.sigma_min, denoiser.sigma_max)
        scale = expand(sigma, batch.x)
        error = denoiser.denoise(batch.x + scale * torch.randn_like(batch.x), sigma) - batch.x
        yield "model", ((scale**2 + size**2) / (scale * size) ** 2 * error**2).mean()

    def _sigmas(self, batch: Batch, size: float) -> Tensor:
        """Log-normal, [n]."""
        median = 0.8 if is_image(tuple(batch.x.shape[1:])) else 0.3
        mean = math.log(median * size) if self.mean_log_sigma is None else self.mean_log_sigma
        return (mean + self.std_log_sigma * normal_quantile(evenly(len(batch), batch.x.device))).exp()
