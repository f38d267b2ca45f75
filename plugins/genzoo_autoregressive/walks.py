"""A convolutional net that sees only what comes before, walked over a whole picture or one position at a time."""

from collections.abc import Callable
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

Memory = dict[nn.Module, Tensor]
"""What a net keeps of the positions that it has passed, by the part that keeps it."""


class Shifted(nn.Conv2d):
    """A convolution whose lowest row is the position's own: [n, c, h, w], zeros beyond the edges.

    ``right`` columns of its kernel lie on the right of the position: 0 for the stream that walks along a row.
    """

    def __init__(self, fan_in: int, fan_out: int, kernel: tuple[int, int], right: int = 0, stride: int = 1) -> None:
        super().__init__(fan_in, fan_out, kernel, stride)
        self.left, self.right = kernel[1] - 1 - right, right

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (self.left, self.right, self.kernel_size[0] - 1, 0)))


class Enlarge(nn.ConvTranspose2d):
    """A transposed convolution that doubles the picture: what it makes of a position lies in no row above it.

    With a kernel of two columns nothing lies on its left either.
    """

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        extra = kernel[1] - 2
        super().__init__(channels, channels, kernel, 2, padding=(0, extra), output_padding=(0, extra))


class Walk(Protocol):
    """How a stack of layers is applied; ``labels`` are those of the images."""

    labels: Tensor | None

    def convolve(self, layer: Shifted, x: Tensor) -> Tensor:
        """A layer of stride 1."""

    def inside(self, shrink: Shifted, enlarge: Enlarge, inner: Callable[[Tensor, "Walk"], Tensor], x: Tensor) -> Tensor:
        """``inner`` of the picture that ``shrink`` halves, enlarged again."""

    def keep(self, block: nn.Module, x: Tensor) -> None:
        """Remember what a block of the vertical stream made."""

    def recall(self, block: nn.Module) -> Tensor:
        """What it made, for the horizontal stream at its place."""


class Whole:
    """All positions at once."""

    def __init__(self, labels: Tensor | None = None) -> None:
        self.labels = labels
        self._kept: Memory = {}

    def convolve(self, layer: Shifted, x: Tensor) -> Tensor:
        return layer(x)

    def inside(self, shrink: Shifted, enlarge: Enlarge, inner: Callable[[Tensor, Walk], Tensor], x: Tensor) -> Tensor:
        return enlarge(inner(shrink(x), self))[:, :, : x.shape[2], : x.shape[3]]

    def keep(self, block: nn.Module, x: Tensor) -> None:
        self._kept[block] = x

    def recall(self, block: nn.Module) -> Tensor:
        return self._kept[block]


class Step:
    """One row (of ``width`` positions, ``column`` 0), or one position of it; ``memory`` has what came before.

    Of every layer it keeps the rows of its input that its kernel spans, and of what was enlarged two rows. A picture
    that is halved goes on only at its own positions, every second of this one's.

    Reference: Fast Generation for Convolutional Autoregressive Models (Ramachandran et al., 2017).
    """

    def __init__(self, memory: Memory, row: int, column: int, width: int, labels: Tensor | None = None) -> None:
        self.memory, self.row, self.column, self.width, self.labels = memory, row, column, width, labels

    def convolve(self, layer: Shifted, x: Tensor) -> Tensor:
        return F.conv2d(self._window(layer, x), layer.weight, layer.bias, layer.stride)

    def inside(self, shrink: Shifted, enlarge: Enlarge, inner: Callable[[Tensor, Walk], Tensor], x: Tensor) -> Tensor:
        window = self._window(shrink, x)
        if self.row % 2 == 0 and self.column % 2 == 0:
            half = Step(self.memory, self.row // 2, self.column // 2, -(-self.width // 2), self.labels)
            small = F.conv2d(window, shrink.weight, shrink.bias, shrink.stride)
            large = enlarge(inner(small, half))
            rows = self.memory.setdefault(enlarge, large.new_zeros(*large.shape[:3], 2 * half.width))
            rows[..., self.column : self.column + large.shape[3]] = large
        at = self.row % 2
        return self.memory[enlarge][:, :, at : at + 1, self.column : self.column + x.shape[3]]

    def keep(self, block: nn.Module, x: Tensor) -> None:
        self.memory[block] = x

    def recall(self, block: nn.Module) -> Tensor:
        return self.memory[block][..., self.column : self.column + 1]

    def _window(self, layer: Shifted, x: Tensor) -> Tensor:
        """What the kernel sees of its input's rows, x [n, c, 1, w] entered at its column."""
        height, start = layer.kernel_size[0], self.column + layer.left
        if layer not in self.memory:
            self.memory[layer] = x.new_zeros(*x.shape[:2], height, layer.left + self.width + layer.right)
        elif self.column == 0:
            self.memory[layer] = F.pad(self.memory[layer][:, :, 1:], (0, 0, 0, 1))
        rows = self.memory[layer]
        rows[:, :, -1, start : start + x.shape[3]] = x[:, :, 0]
        return rows[..., self.column : start + x.shape[3] + layer.right]
