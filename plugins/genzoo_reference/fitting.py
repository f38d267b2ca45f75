"""What it takes to be fitted without a gradient, and the one thing that all such models need to know of their data."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Fittable(Protocol):
    """A model whose parameters follow from the training examples without a gradient.

    ``fitted`` says whether another :meth:`fit` to the same examples would change nothing.
    """

    fitted: Tensor

    @abstractmethod
    def fit(self, x: Tensor, labels: Tensor | None) -> None:
        """Set the parameters to what the examples x [n, *shape], and their labels [n], say; or step towards that."""

    @abstractmethod
    def misfit(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """What the fit makes small, of a batch, per dimension: [], with a gradient."""


def variance_of_a_level(levels: int | None) -> float:
    """Of the uniform noise that spreads a level over its width D = 2 / (L - 1): D^2 / 12; 0 for continuous data."""
    return (2 / (levels - 1)) ** 2 / 12 if levels else 0.0


def place(z: Tensor, weights: Tensor) -> Tensor:
    """The index i, [n], with probability ``weights`` [k], that a standard normal z [n] falls on.

    Inversion: i is the first whose cumulative weight exceeds Phi(z).
    """
    cumulative = weights.detach().double().cumsum(0)
    at = torch.special.ndtr(z.double()) * cumulative[-1]
    return torch.searchsorted(cumulative, at, right=True).clamp(max=len(weights) - 1)
