"""The gradient of an energy as something to train: what a squared error of it is taken of."""

import torch
from torch import Tensor

from genzoo.capabilities import Energy


def slope(energy: Energy, x: Tensor) -> Tensor:
    """grad_x E(x), [n, *shape], with a graph to the parameters."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(energy.energy(x).sum(), x, create_graph=True)
    return gradient
