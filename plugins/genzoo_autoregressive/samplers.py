"""One position after another."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import PositiveFloat
from torch import Generator, Tensor

from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.walks import Memory


@dataclass(frozen=True, kw_only=True)
class OneByOne:
    """x_i ~ P(x_i | x_1, ..., x_{i-1}) in the model's order: at temperature 1 an exact draw from P(image).

    One call of the network a position, of which everything that came before is kept; a state for each stage of the
    model, such as a row.

    Args:
        temperature: T below 1 draws closer to what is likely: a softmax P becomes P^(1/T), a mixture of logistics has
            weights w^(1/T) and scales T s.
    """

    temperature: PositiveFloat = 1.0
    needs: ClassVar[tuple[type, ...]] = (Autoregressive,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Autoregressive, n: int, generator: Generator) -> Iterator[Tensor]:
        """The image so far; what is not drawn yet is zero."""
        x, memory, position = torch.zeros(n, *model.shape, device=generator.device), Memory(), itertools.count()
        for stage in model.stages:
            for _ in range(stage):
                x = model.follow(x, next(position), memory)(generator, self.temperature)
            yield x
