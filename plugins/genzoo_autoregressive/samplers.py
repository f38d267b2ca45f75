"""One position after another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Generator, Tensor

from genzoo_autoregressive.model import Autoregressive
from genzoo_autoregressive.walks import Memory


@dataclass(frozen=True, kw_only=True)
class Raster:
    """x_i ~ P(x_i | x_1, ..., x_{i-1}) in raster order: an exact draw from an autoregressive model, at temperature 1.

    One call of the network a position, whatever came before it being kept; a state for each row of positions.

    Args:
        temperature: Below 1 each draw keeps closer to what is likely.
    """

    temperature: PositiveFloat = 1.0
    needs: ClassVar[tuple[type, ...]] = (Autoregressive,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Autoregressive, n: int, generator: Generator) -> Iterator[Tensor]:
        """The image after each row of positions; what is to come is zero."""
        channels, height, width = model.shape
        patches = F.pixel_unshuffle(torch.zeros(n, channels, height, width, device=generator.device), model.patch)
        memory: Memory = {}
        for row in range(patches.shape[2]):
            for column in range(patches.shape[3]):
                draw = model.follow(patches, row, column, memory)
                patches[:, :, row, column] = draw(generator, self.temperature)
            yield F.pixel_shuffle(patches, model.patch)
