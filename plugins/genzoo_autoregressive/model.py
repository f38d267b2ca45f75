"""What every model of this plugin shares: patches in raster order, each given those before it."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from genzoo.capabilities import Conditional, Given, Mass
from genzoo_autoregressive.distributions import distribution
from genzoo_autoregressive.head import Head
from genzoo_autoregressive.positions import Positions
from genzoo_autoregressive.walks import Memory

Draw = Callable[[Generator, float], Tensor]
"""Draws the numbers of one position, [n, numbers] in [-1, 1], at a temperature."""


@runtime_checkable
class Autoregressive(Protocol):
    """P(image) = prod_i P(x_i | x_1, ..., x_{i-1}), x_i the numbers of a square of pixels, in raster order.

    ``patch`` is the side of the square. One call of ``follow`` is one evaluation of the network at one position.
    """

    shape: tuple[int, ...]
    patch: int

    @abstractmethod
    def follow(self, patches: Tensor, row: int, column: int, memory: Memory) -> Draw:
        """What may stand at a position of n images whose earlier positions are known.

        Args:
            patches: [n, numbers, rows, columns], as ``pixel_unshuffle`` makes them; what is to come is not looked at.
            row: Of the position.
            column: Of the position; all are asked for, in order.
            memory: A dictionary, the same for all positions and empty at the first.
        """


class Trunk(nn.Module):
    """A net that sees, at each position, only the patches before it; ``width`` features a position."""

    width: int

    @abstractmethod
    def forward(self, patches: Tensor, labels: Tensor | None) -> Tensor:
        """[n, rows, columns, width], of patches [n, numbers, rows, columns]."""

    @abstractmethod
    def follow(self, patches: Tensor, row: int, column: int, memory: Memory, labels: Tensor | None) -> Tensor:
        """The same of one position, [n, width]; see :class:`Autoregressive`."""


class PatchModel(nn.Module, Mass, Conditional):
    """log P(image) = sum over positions of log P(patch | features of the patches before it), exact.

    Args:
        at: The positions.
        trunk: Makes the features.
        levels: Grey levels of the data; None for 256.
        components: Of the mixture for each number; a softmax where there are at most 32 levels.
        hidden: Units of the head for each number.
        num_classes: Makes it conditional.
    """

    trainer: ClassVar[str] = "discrete-likelihood"
    sampler: ClassVar[str] = "raster"

    def __init__(
        self, at: Positions, trunk: Trunk, levels: int | None, components: int, hidden: int, num_classes: int | None
    ) -> None:
        super().__init__()
        self.shape, self.patch, self.trunk = at.shape, at.patch, trunk
        self.head = Head(trunk.width, at.numbers, hidden, distribution(levels or 256, components))
        if num_classes is not None:
            self.num_classes = num_classes

    def given(self, labels: Tensor) -> Given:
        """The model of images of these classes, [n]."""
        return Given(self, labels)

    def log_mass(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x), [n], in nats."""
        patches = F.pixel_unshuffle(x, self.patch)
        return self.head.log_prob(self.trunk(patches, labels), patches.permute(0, 2, 3, 1)).sum((1, 2))

    def follow(
        self, patches: Tensor, row: int, column: int, memory: Memory, labels: Tensor | None = None
    ) -> Draw:
        """See :class:`Autoregressive`."""
        return partial(self.head.sample, self.trunk.follow(patches, row, column, memory, labels))


def classes(conditional: bool, num_classes: int | None) -> int | None:
    """The number of classes that a model is told of.

    Raises:
        ValueError: it is to be conditional, and the data have none.
    """
    if conditional and num_classes is None:
        raise ValueError("conditional=True needs classes, and these data have none: leave it out")
    return num_classes if conditional else None
