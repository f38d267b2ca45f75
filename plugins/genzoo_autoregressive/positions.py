"""An image as positions in raster order, each a square of pixels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image

LARGEST_OF_SINGLE_PIXELS = 16
ALMOST = 0.999


@dataclass(frozen=True)
class Positions:
    """``rows`` x ``columns`` positions of so many ``numbers`` each, in raster order."""

    rows: int
    columns: int
    numbers: int


def squares(shape: tuple[int, ...], patch: int) -> Positions:
    """An image as squares of ``patch`` pixels a side.

    Raises:
        ValueError: points, or an image that the squares do not divide.
    """
    refuse_points(shape)
    channels, height, width = shape
    if height % patch or width % patch:
        raise ValueError(f"patch={patch} does not divide {height}x{width} pixels: take a divisor of both, such as 1")
    return Positions(height // patch, width // patch, channels * patch**2)


def usual_patch(shape: tuple[int, ...], large: int) -> int:
    """``large`` for images of more than 16 pixels a side that it divides, 1 for others."""
    refuse_points(shape)
    fits = max(shape[1:]) > LARGEST_OF_SINGLE_PIXELS and not any(side % large for side in shape[1:])
    return large if fits else 1


def refuse_points(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless this is the shape of images."""
    if not is_image(shape):
        raise ValueError(f"shape {shape} is of points, which have no levels: it takes images (channels, height, width)")


def seen(x: Tensor, dim: int) -> Tensor:
    """What a net is told of numbers in [-1, 1]: each, and whether it is the lowest (-1) or the highest (1).

    In bfloat16 the level next to black is black; for the likelihood it is not.
    """
    return torch.cat([x, torch.where(x.abs() > ALMOST, x, 0)], dim)


class Before(nn.Module):
    """What stands above and what stands on the left of each position; beyond the edges all is zero.

    With ``wrap`` the position on the left of a row's first is the last of the row above, the one before it in order.

    ``inputs`` numbers each: those of the patch, seen, and three that say where it is: 1, and its row and column.
    """

    background: Tensor

    def __init__(self, at: Positions, wrap: bool = False) -> None:
        super().__init__()
        self.inputs, self.columns, self.wrap = 2 * at.numbers + 3, at.columns, wrap
        rows, columns = torch.linspace(-1, 1, at.rows), torch.linspace(-1, 1, at.columns)
        background = torch.stack([torch.ones(at.rows, at.columns), *torch.meshgrid(rows, columns, indexing="ij")])
        self.register_buffer("background", background, persistent=False)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Of patches [n, numbers, rows, columns]: both [n, inputs, rows, columns]."""
        x = self._described(patches, slice(None), slice(None)).contiguous(memory_format=torch.channels_last)
        left = F.pad(x.flatten(2), (1, -1)).unflatten(2, x.shape[2:]) if self.wrap else F.pad(x, (1, -1))
        return F.pad(x, (0, 0, 1, -1)), left

    def row(self, patches: Tensor, row: int) -> Tensor:
        """The row above ``row``, [n, inputs, 1, columns]."""
        if row == 0:
            return patches.new_zeros(len(patches), self.inputs, 1, self.columns)
        return self._described(patches, slice(row - 1, row), slice(None))

    def left(self, patches: Tensor, row: int, column: int) -> Tensor:
        """The position before ``column``, [n, inputs, 1, 1]."""
        if column == 0 and self.wrap:
            row, column = row - 1, self.columns
        if column == 0 or row < 0:
            return patches.new_zeros(len(patches), self.inputs, 1, 1)
        return self._described(patches, slice(row, row + 1), slice(column - 1, column))

    def _described(self, patches: Tensor, rows: slice, columns: slice) -> Tensor:
        background = self.background[:, rows, columns].expand(len(patches), -1, -1, -1)
        return torch.cat([seen(patches[:, :, rows, columns], 1), background], 1)
