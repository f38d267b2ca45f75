"""How much noise there is.

The variance-preserving process is x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t = 0 ... T - 1.
"""

import math

import torch
from torch import Tensor

from genzoo.capabilities import log_sigma_at, log_sigmas


def linear_betas(timesteps: int) -> Tensor:
    """beta_t from 1e-4 to 0.02 at T = 1000, rescaled with T; [T] float64. DDPM (Ho et al., 2020), section 4."""
    return (torch.linspace(1e-4, 0.02, timesteps, dtype=torch.float64) * (1000 / timesteps)).clamp(max=0.999)


def cosine_betas(timesteps: int) -> Tensor:
    """abar_t = cos^2((t/T + .008) / 1.008 pi / 2), [T] float64. Improved DDPM (Nichol and Dhariwal, 2021), eq. 17."""
    t = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    abar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - abar[1:] / abar[:-1]).clamp(max=0.999)


BETAS = {"linear": linear_betas, "cosine": cosine_betas}


def signal_and_noise(betas: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(abar_t) and sqrt(1 - abar_t), float64 of the shape of ``timestep``.

    Between whole timesteps log sigma is linear in t.
    """
    log_sigma = log_sigma_at(log_sigmas(betas), timestep)
    return torch.sigmoid(-2 * log_sigma).sqrt(), torch.sigmoid(2 * log_sigma).sqrt()


def noise_range(sigma_min: float, sigma_max: float) -> tuple[float, float]:
    """The two; raises :class:`ValueError` if they are no range."""
    if sigma_min >= sigma_max:
        raise ValueError(f"sigma_min={sigma_min:g} is not below sigma_max={sigma_max:g}: give a range of noise")
    return sigma_min, sigma_max
