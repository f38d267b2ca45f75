"""What each player minimises, in the critic's logits of data and of what the generator made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """``critic(real, fake)`` and ``generator(fake)``: scalar losses of logits [n]; and the gradient penalty's weight
    where none is asked for.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    gradient_penalty: float = 0.0


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log S(c(x))] - E[log S(-c(g(z)))] with S the sigmoid."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - c(x))] + E[max(0, 1 + c(g(z)))]."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def distance(real: Tensor, fake: Tensor) -> Tensor:
    """E[c(g(z))] - E[c(x)]: minus the Wasserstein-1 distance, at the best critic of Lipschitz constant 1."""
    return fake.mean() - real.mean()


def surprise(fake: Tensor) -> Tensor:
    """-E[log S(c(g(z)))]."""
    return F.softplus(-fake).mean()


def disapproval(fake: Tensor) -> Tensor:
    """-E[c(g(z))]."""
    return -fake.mean()


OBJECTIVES: Mapping[str, Objective] = {
    "non-saturating": Objective(cross_entropy, surprise),
    "hinge": Objective(hinge, disapproval),
    "wasserstein": Objective(distance, disapproval, gradient_penalty=10.0),
}
"""Generative Adversarial Nets (Goodfellow et al., 2014); Geometric GAN (Lim and Ye, 2017); Wasserstein GAN (Arjovsky
et al., 2017).
"""
