"""Hamiltonian Monte Carlo between a standard normal and an unnormalised density."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

LEAPS = 4


@dataclass(frozen=True)
class Chains:
    """States y [m, d], and there log f [m] and its slope [m, d]."""

    y: Tensor
    log_f: Tensor
    slope: Tensor

    def where(self, accepted: Tensor, other: "Chains") -> "Chains":
        """The accepted rows of this, the others of ``other``."""
        rows = accepted[:, None]
        return Chains(
            torch.where(rows, self.y, other.y),
            torch.where(accepted, self.log_f, other.log_f),
            torch.where(rows, self.slope, other.slope),
        )

    def tempered(self, beta: float) -> Tensor:
        """log f_beta = (1 - beta) log N(y; 0, I) + beta log f(y) without the normal's constant, [m]."""
        return -0.5 * (1 - beta) * self.y.square().sum(1) + (beta * self.log_f if beta else 0.0)

    def force(self, beta: float) -> Tensor:
        """The slope of log f_beta, [m, d]."""
        return -(1 - beta) * self.y + beta * self.slope


Visit = Callable[[Tensor], Chains]
"""The chains that stand at y [m, d]."""


def transition(visit: Visit, chains: Chains, beta: float, step: float, generator: Generator) -> tuple[Chains, float]:
    """One transition that leaves f_beta as it is, and the mean probability of its acceptance.

    Four leapfrog steps of one size, ``step`` give or take a fifth (a fixed size can lock into a period of the target),
    then accepted or not (Metropolis). Where log f is not a number nothing is accepted.

    Reference: MCMC Using Hamiltonian Dynamics (Neal, 2011), sections 3.2 and 4.2.
    """
    step = step * (0.8 + 0.4 * torch.rand((), generator=generator).item())
    momentum = torch.randn(chains.y.shape, generator=generator).to(chains.y)
    there, velocity = chains, momentum
    for _ in range(LEAPS):
        velocity = velocity + 0.5 * step * there.force(beta)
        there = visit(there.y + step * velocity)
        velocity = velocity + 0.5 * step * there.force(beta)
    gain = there.tempered(beta) - chains.tempered(beta) - 0.5 * (velocity.square() - momentum.square()).sum(1)
    probability = gain.nan_to_num(-torch.inf).exp().clamp(max=1)
    accepted = torch.rand(len(gain), generator=generator).to(gain) < probability
    return there.where(accepted, chains), probability.mean().item()
