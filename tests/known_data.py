"""Data for tests of fits in closed form: a ring of points, pictures of two classes, and what numpy says of them."""

import math

import numpy as np
import torch
from torch import Tensor

from genzoo.images import to_unit


def ring(n: int, seed: int = 0) -> Tensor:
    """Points around a circle, [n, 2]: nothing that one Gaussian fits."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.1 * torch.randn(n, 2, generator=generator)


def pictures(n: int, seed: int = 0, levels: int = 17) -> tuple[Tensor, Tensor]:
    """Images [n, 1, 4, 4] in [-1, 1] on their levels, of two classes, each with a background of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = torch.randint(levels // 2, (n, 4, 4, 1), generator=generator) + labels.view(-1, 1, 1, 1) * (levels // 2)
    return to_unit(x, levels), labels


def covariance(x: Tensor) -> Tensor:
    """Of the rows, divided by their number, float64."""
    return torch.from_numpy(np.atleast_2d(np.cov(x.flatten(1).double().numpy().T, bias=True)))
