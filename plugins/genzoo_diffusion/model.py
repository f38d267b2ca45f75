"""The denoising diffusion probabilistic model."""

import math
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.capabilities import NoisePredictor
from genzoo.images import is_image
from genzoo.nets import ResidualMLP


def linear_betas(timesteps: int) -> Tensor:
    """beta_t from 1e-4 to 0.02 at T = 1000, rescaled with T; [T] float64. DDPM (Ho et al., 2020), section 4."""
    return torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64) * (1000 / timesteps)


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
        width: Hidden units (points) or channels of the first stage (images).
        timesteps: T.
        schedule: How abar_t falls.
    """

    trainer: ClassVar[str] = "denoising"
    betas: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int | None = None,
        timesteps: int = 1000,
        schedule: Literal["linear", "cosine"] = "linear",
    ) -> None:
        super().__init__()
        self.shape, self.sampler = shape, "ddim" if is_image(shape) else "ddpm"
        self.register_buffer("betas", BETAS[schedule](timesteps), persistent=False)
        self.net: nn.Module = UNet(shape, width or 32) if is_image(shape) else ResidualMLP(shape[0], width or 128, 3)

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """The noise in x_t, [n, *shape] float32; timestep [] or [n] in [0, T - 1]."""
        t = timestep.to(x_t.device).expand(len(x_t)) / len(self.betas)
        return self.net(x_t.float(), t).float()


class UNet(nn.Module):
    """diffusers' UNet2DModel for images of any size (padded to what its stages halve), t in [0, 1)."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        from diffusers import UNet2DModel

        self.stages = min(3, max(2, int(math.log2(max(shape[1:]) / 4)) + 1))
        channels = tuple(width * min(2**i, 4) for i in range(self.stages))
        self.unet: Any = UNet2DModel(
            in_channels=shape[0],
            out_channels=shape[0],
            block_out_channels=channels,
            layers_per_block=1,
            norm_num_groups=math.gcd(8, width),
            down_block_types=("DownBlock2D",) * self.stages,
            up_block_types=("UpBlock2D",) * self.stages,
            add_attention=False,  # the whole receptive field is a few pixels wide by then
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h, w = x.shape[2:]
        unit = 2 ** (self.stages - 1)
        padded = F.pad(x, (0, -w % unit, 0, -h % unit))
        return self.unet(padded, 1000 * t).sample[:, :, :h, :w]
