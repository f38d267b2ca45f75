"""What the trainers of this plugin share: evenly spread draws, and the optimizer."""

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer


def evenly(n: int, device: torch.device) -> Tensor:
    """One uniform draw from each n-th of [0, 1), [n], in order: together they fill the interval.

    A row is one of a shuffled batch, so that every example gets any of them. The loss of a batch then varies less from
    step to step than with independent draws.

    Reference: Variational Diffusion Models (Kingma et al., 2021), appendix I.1, for the idea.
    """
    return ((torch.arange(n, device=device) + torch.rand(n, device=device)) / n).clamp(max=1 - 2**-24)


def normal_quantile(u: Tensor) -> Tensor:
    """The standard normal whose distribution function is ``u``, finite at 0 too."""
    return torch.special.ndtri(u.double().clamp(min=2.0**-25)).to(u.dtype)


def adam(model: nn.Module, lr: float, beta2: float = 0.99) -> dict[str, Optimizer]:
    """One Adam for the whole model.

    beta2 = 0.99: the squares of the gradients fall fast after a start from nothing, and a memory of 1,000 steps would
    keep the first of them for much of a short training.
    """
    return {"model": Adam(model.parameters(), lr=lr, betas=(0.9, beta2), fused=True)}
