"""The sampler: a frozen dataclass of its settings whose ``steps`` yields states, the last one being the sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from genzoo_template.capabilities import Components


@dataclass(frozen=True, kw_only=True)
class AncestralMixture:
    """i ~ w, then x ~ p_i: exact.

    Args:
        temperature: w is raised to the power 1 / temperature; below 1 the heavy components win.
    """

    temperature: float = 1.0
    needs: ClassVar[tuple[type, ...]] = (Components,)

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature={self.temperature} must be positive")

    def steps(self, model: Components, n: int, generator: Generator) -> Iterator[Tensor]:
        """The sample: the only state. All randomness comes from ``generator``."""
        weights = model.weights ** (1 / self.temperature)
        labels = torch.multinomial(weights, n, replacement=True, generator=generator)
        yield model.draw(labels, generator)
