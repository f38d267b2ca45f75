"""The noise of a variance-preserving process as sigma: x_t / sqrt(abar_t) is the data plus sigma_t times noise."""

import torch
from torch import Tensor


def log_sigmas(betas: Tensor) -> Tensor:
    """log sigma_t with sigma^2 = (1 - abar) / abar, [T] float64: the noise where the data are not scaled."""
    return 0.5 * torch.expm1(-torch.log1p(-betas.detach().double()).cumsum(0)).log()


def log_sigma_at(table: Tensor, timestep: Tensor) -> Tensor:
    """log sigma_t of :func:`log_sigmas`, float64 of the shape of ``timestep``: linear between whole timesteps."""
    low = timestep.long().clamp(0, len(table) - 1)
    return torch.lerp(table[low], table[(low + 1).clamp(max=len(table) - 1)], timestep.double() - low)
