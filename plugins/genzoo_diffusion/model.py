"""The denoising diffusion probabilistic model."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import NoisePredictor
from genzoo.images import is_image
from genzoo.nets import vector_field


def linear_betas(timesteps: int) -> Tensor:
    """beta_t from 1e-4 to 0.02 at T = 1000, rescaled with T; [T] float64. DDPM (Ho et al., 2020), section 4."""
    return (torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64) * (1000 / timesteps)).clamp(max=0.999)


def cosine_betas(timesteps: int) -> Tensor:
    """abar_t = cos^2((t/T + .008) / 1.008 pi / 2), [T] float64. Improved DDPM (Nichol and Dhariwal, 2021), eq. 17."""
    t = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    abar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - abar[1:] / abar[:-1]).clamp(max=0.999)


BETAS = {"linear": linear_betas, "cosine": cosine_betas}


class DDPM(nn.Module, NoisePredictor):
    """A net that predicts the noise in x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t = 0 ... T - 1.

    Images have diffusers' UNet2DModel, points a residual MLP.

    References: Denoising Diffusion Probabilistic Models (Ho et al., 2020); Improved Denoising Diffusion Probabilistic
    Models (Nichol and Dhariwal, 2021) for the cosine schedule.

    Args:
        shape: Of one example.
        width: Hidden units (points) or channels of the first stage (images); a multiple of 8.
        patch: Side of the squares of pixels that the UNet sees as one position; 2 by default above 16 pixels, where it
            trains three times as many images a second for the same quality.
        timesteps: T.
        schedule: How abar_t falls.
    """

    trainer: ClassVar[str] = "denoising"
    betas: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Field(ge=8, multiple_of=8)] | None = None,
        patch: PositiveInt | None = None,
        timesteps: Annotated[int, Field(ge=2)] = 1000,
        schedule: Literal["linear", "cosine"] = "linear",
    ) -> None:
        super().__init__()
        self.shape, self.sampler = shape, "ddim" if is_image(shape) else "ddpm"
        self.register_buffer("betas", BETAS[schedule](timesteps), persistent=False)
        self.net = vector_field(shape, width=width, patch=patch)

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """The noise in x_t, [n, *shape] float32; timestep [] or [n] in [0, T - 1]."""
        t = timestep.to(x_t.device).expand(len(x_t)) / len(self.betas)
        return self.net(x_t.float(), t).float()
