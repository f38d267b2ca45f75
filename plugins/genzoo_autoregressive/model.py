"""What every model of this plugin shares: patches in raster order, each given those before it."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, runtime_checkable

import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from genzoo.capabilities import Conditional, Given, Mass
from genzoo_autoregressive.distributions import distribution
from genzoo_autoregressive.head import Head
from genzoo_autoregressive.positions import Positions
from genzoo_autoregressive.walks import Memory

Levels = Annotated[int, Field(ge=2)]
Dropout = Annotated[float, Field(ge=0, lt=1)]

Draw = Callable[[Generator, float], Tensor]
"""Draws the numbers of one position at a temperature, and returns the image with them in it."""


@runtime_checkable
class Autoregressive(Protocol):
    """P(image) = prod_i P(x_i | x_1, ..., x_{i-1}), x_i the few numbers of one position, in the model's order.

    ``stages`` counts the positions up to where the image so far is worth a look: their sum is all positions.
    """

    shape: tuple[int, ...]
    stages: tuple[int, ...]

    @abstractmethod
    def follow(self, x: Tensor, position: int, memory: Memory) -> Draw:
        """One evaluation of the network: what may stand at a position of n images whose earlier ones are drawn.

        Args:
            x: [n, *shape], what the draws before it made; zero at first, and not written into.
            position: 0, 1, ...; all are asked for, in order.
            memory: A dictionary, the same for all positions and empty at the first.
        """


@dataclass(frozen=True)
class Aside:
    """What is known besides the patches before: labels [n], and a context [n, features, rows, columns]."""

    labels: Tensor | None = None
    context: Tensor | None = None


class Trunk(nn.Module):
    """A net that sees, at each position, only the patches before it; ``width`` features a position."""

    width: int

    @abstractmethod
    def forward(self, patches: Tensor, aside: Aside) -> Tensor:
        """[n, rows, columns, width], of patches [n, numbers, rows, columns]."""

    @abstractmethod
    def follow(self, patches: Tensor, row: int, column: int, memory: Memory, aside: Aside) -> Tensor:
        """The same of one position, [n, width]; all are asked for, in order, with one memory."""


class Raster(nn.Module):
    """log P(patches) = sum over positions in raster order of log P(patch | trunk's features of those before it).

    Args:
        at: The positions.
        trunk: Makes the features.
        levels: Grey levels of the data; None for 256.
        components: Of the mixture for each number.
        hidden: Units of the head for each number.
    """

    def __init__(self, at: Positions, trunk: Trunk, levels: int | None, components: int, hidden: int) -> None:
        super().__init__()
        self.at, self.trunk = at, trunk
        self.head = Head(trunk.width, at.numbers, hidden, distribution(levels or 256, components))

    def log_mass(self, patches: Tensor, aside: Aside) -> Tensor:
        """[n], of patches [n, numbers, rows, columns]."""
        return self.head.log_prob(self.trunk(patches, aside), patches.permute(0, 2, 3, 1)).sum((1, 2))

    def follow(self, patches: Tensor, position: int, memory: Memory, aside: Aside) -> Draw:
        """See :class:`Autoregressive`; what is drawn is written into the patches, which are returned."""
        row, column = divmod(position, self.at.columns)
        features = self.trunk.follow(patches, row, column, memory, aside)

        def draw(generator: Generator, temperature: float) -> Tensor:
            patches[:, :, row, column] = self.head.sample(features, generator, temperature)
            return patches

        return draw


class AutoregressiveModel(nn.Module, Mass, Conditional):
    """What a model of images is besides its order: told of classes, if ``num_classes`` are given."""

    trainer: ClassVar[str] = "discrete-likelihood"
    sampler: ClassVar[str] = "one-by-one"

    def __init__(self, shape: tuple[int, ...], num_classes: int | None) -> None:
        super().__init__()
        self.shape = shape
        if num_classes is not None:
            self.num_classes = num_classes

    def given(self, labels: Tensor) -> Given:
        """The model of images of these classes, [n]."""
        return Given(self, labels)


class PatchModel(AutoregressiveModel):
    """Squares of pixels in raster order."""

    def __init__(self, shape: tuple[int, ...], patch: int, raster: Raster, num_classes: int | None) -> None:
        super().__init__(shape, num_classes)
        self.patch, self.raster = patch, raster
        self.stages = (raster.at.columns,) * raster.at.rows

    def log_mass(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x), [n], in nats."""
        return self.raster.log_mass(F.pixel_unshuffle(x, self.patch), Aside(labels))

    def follow(self, x: Tensor, position: int, memory: Memory, labels: Tensor | None = None) -> Draw:
        """See :class:`Autoregressive`."""
        draw = self.raster.follow(F.pixel_unshuffle(x, self.patch), position, memory, Aside(labels))
        return lambda generator, temperature: F.pixel_shuffle(draw(generator, temperature), self.patch)
