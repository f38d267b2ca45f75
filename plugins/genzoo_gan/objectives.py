"""What each player minimises, in the critic's logits of data and of what the generator made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """``critic(real, fake)`` and ``generator(fake)``: scalar losses of logits [n].

    The generator of a ``relative`` game is told c(g(z)) - c(x) for its logits, of each fake and the example it stands
    beside. ``gradient_penalty`` is the weight of that penalty where none is asked for.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    gradient_penalty: float = 0.0
    relative: bool = False


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log S(c(x))] - E[log S(-c(g(z)))] with S the sigmoid."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - c(x))] + E[max(0, 1 + c(g(z)))]."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def distance(real: Tensor, fake: Tensor) -> Tensor:
    """E[c(g(z))] - E[c(x)]: minus the Wasserstein-1 distance, at the best critic of Lipschitz constant 1."""
    return fake.mean() - real.mean()


def preference(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log S(c(x) - c(g(z)))] over pairs: that each example looks more like data than the fake beside it."""
    return F.softplus(fake - real).mean()


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
    "relativistic": Objective(preference, surprise, relative=True),
}
"""Generative Adversarial Nets (Goodfellow et al., 2014); Geometric GAN (Lim and Ye, 2017); Wasserstein GAN (Arjovsky
et al., 2017); The Relativistic Discriminator (Jolicoeur-Martineau, 2019), in pairs, as in The GAN Is Dead; Long Live
the GAN! (Huang et al., 2024).
"""
