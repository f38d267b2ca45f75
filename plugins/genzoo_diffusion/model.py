"""The denoising diffusion probabilistic model."""

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import NoisePredictor
from genzoo.images import is_image
from genzoo.nets import ResidualMLP


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
        self.net: nn.Module = UNet(shape, width, patch) if is_image(shape) else ResidualMLP(shape[0], width or 128, 3)

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """The noise in x_t, [n, *shape] float32; timestep [] or [n] in [0, T - 1]."""
        t = timestep.to(x_t.device).expand(len(x_t)) / len(self.betas)
        return self.net(x_t.float(), t).float()


class UNet(nn.Module):
    """diffusers' UNet2DModel over patches, for images of any size (padded to what it halves), t in [0, 1)."""

    def __init__(self, shape: tuple[int, ...], width: int | None, patch: int | None) -> None:
        super().__init__()
        from diffusers import UNet2DModel

        side = max(shape[1:])
        self.patch = patch or (2 if side > 16 else 1)
        width = width or 32 * self.patch
        stages = min(4, max(2, int(math.log2(side / self.patch / 4)) + 1))
        self.unit = self.patch * 2 ** (stages - 1)
        channels = shape[0] * self.patch**2
        self.unet: Any = UNet2DModel(
            in_channels=channels,
            out_channels=channels,
            block_out_channels=tuple(width * min(2**i, 2) for i in range(stages)),
            layers_per_block=1,
            norm_num_groups=math.gcd(8, width),
            down_block_types=("DownBlock2D",) * stages,
            up_block_types=("UpBlock2D",) * stages,
            add_attention=False,  # a few positions are left in the middle, and convolutions see all of them
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h, w = x.shape[2:]
        padded = F.pad(x, (0, -w % self.unit, 0, -h % self.unit))
        noise = self.unet(F.pixel_unshuffle(padded, self.patch), 1000 * t).sample
        return F.pixel_shuffle(noise, self.patch)[:, :, :h, :w]
