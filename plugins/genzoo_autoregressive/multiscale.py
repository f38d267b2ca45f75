"""From coarse to fine: a small image first, and then what lies between its pixels."""

import bisect
import itertools
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveInt
from torch import Tensor, nn

from genzoo_autoregressive.model import Aside, AutoregressiveModel, Draw, Raster, classes
from genzoo_autoregressive.pixelcnn import Convolutions, Setting
from genzoo_autoregressive.positions import Positions, refuse_points, seen
from genzoo_autoregressive.walks import Memory

SMALLEST = 4


class Surroundings(nn.Module):
    """What stands around each position of the coarser image, [n, c, h, w] to [n, width, h, w]: nothing is hidden."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2 * channels + 1, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.SiLU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(blocks)
        )

    def forward(self, coarse: Tensor) -> Tensor:
        x = torch.cat([seen(coarse, 1), torch.ones_like(coarse[:, :1])], 1)
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            h = h + block(h)
        return h


class Pyramid(AutoregressiveModel):
    """log P(x) = log P(every 2^k-th pixel) + sum over finer images of log P(the pixels between | the coarser image).

    ``parts`` are the coarsest image, and what each finer one adds: three pixels in each square of 2x2, in raster order;
    ``around`` tells each of them of the coarser image.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        parts: Sequence[Raster],
        around: Sequence[Surroundings],
        num_classes: int | None,
    ) -> None:
        super().__init__(shape, num_classes)
        self.parts, self.around = nn.ModuleList(parts), nn.ModuleList(around)
        self.stages = tuple(part.at.rows * part.at.columns for part in parts)

    def log_mass(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x), [n], in nats."""
        log_mass = x.new_zeros(len(x))
        for part, around in zip(reversed(self.parts[1:]), reversed(self.around), strict=True):
            x, between = apart(x)
            log_mass = log_mass + part.log_mass(between, Aside(labels, around(x)))
        return log_mass + self.parts[0].log_mass(x, Aside(labels))

    def follow(self, x: Tensor, position: int, memory: Memory, labels: Tensor | None = None) -> Draw:
        """See :class:`genzoo_autoregressive.model.Autoregressive`."""
        number, before = self._part_of(position)
        every = 2 ** (len(self.parts) - 1 - number)
        image = x[:, :, ::every, ::every]
        if number == 0:
            draw = self.parts[0].follow(image.clone(), position, memory, Aside(labels))
            return lambda generator, temperature: _put(draw(generator, temperature), x, every)
        coarse, between = apart(image)
        around = self.around[number - 1]
        if around not in memory:
            memory[around] = around(coarse)
        draw = self.parts[number].follow(between, position - before, memory, Aside(labels, memory[around]))
        return lambda generator, temperature: _put(together(coarse, draw(generator, temperature)), x, every)

    def _part_of(self, position: int) -> tuple[int, int]:
        """Which part a position is of, and how many come before that part."""
        ends = list(itertools.accumulate(self.stages))
        number = bisect.bisect_right(ends, position)
        return number, ends[number] - self.stages[number]


def apart(x: Tensor) -> tuple[Tensor, Tensor]:
    """Every second pixel, [n, c, h/2, w/2], and the three others of each square, [n, 3c, h/2, w/2], of x [n, c, h, w]."""
    squares = F.pixel_unshuffle(x, 2).unflatten(1, (-1, 4))
    return squares[:, :, 0], squares[:, :, 1:].flatten(1, 2)


def together(coarse: Tensor, between: Tensor) -> Tensor:
    """The inverse of :func:`apart`."""
    squares = torch.cat([coarse[:, :, None], between.unflatten(1, (-1, 3))], 2)
    return F.pixel_shuffle(squares.flatten(1, 2), 2)


def _put(image: Tensor, x: Tensor, every: int) -> Tensor:
    """x with the image at every so many pixels."""
    x = x.clone()
    x[:, :, ::every, ::every] = image
    return x


def multiscale_pixelcnn(
    shape: tuple[int, ...],
    *,
    halvings: NonNegativeInt | None = None,
    width: PositiveInt = 64,
    blocks: PositiveInt = 1,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    components: PositiveInt = 5,
    hidden: PositiveInt = 128,
    levels: int | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> Pyramid:
    """PixelCNN++ from coarse to fine: exact log P(image), one network evaluation a position of each resolution.

    The coarsest image, every 2^k-th pixel of every 2^k-th row, pixel by pixel; then, resolution by resolution, the
    three pixels between in each square of 2x2, given the whole coarser image and the squares before. What garment it
    is, is decided in the first few pixels; the nets after that fill in what they see on all sides. Each resolution has
    the streams, the blocks and the head of ``pixelcnn`` for itself.

    References: Parallel Multiscale Autoregressive Density Estimation (Reed et al., 2017), for the order, with squares
    that depend on one another where they are drawn at once there; PixelCNN++ (Salimans et al., 2017).

    Args:
        shape: (channels, height, width) of one image.
        halvings: k; by default 2, or as many as divide the image and leave at least 4 pixels a side.
        width: Channels.
        blocks: Of each stream on the way in, and as many on the way out, at each resolution.
        dropout: In every block.
        components: Of the mixture of logistics; with at most 32 levels there is a softmax instead.
        hidden: Units of the heads for each number.
        levels: Grey levels of the data; None for 256.
        num_classes: Classes of the data.
        conditional: Whether it is told the class.

    Raises:
        ValueError: points; an image that cannot be halved so often; classes asked for where there are none.
    """
    refuse_points(shape)
    known = classes(conditional, num_classes)
    (rows, columns), *others = resolutions(shape, halvings)
    setting, channels = Setting(width, dropout, known), shape[0]

    def part(at: Positions, context: int) -> Raster:
        return Raster(at, Convolutions(at, setting, (blocks,), context), levels, components, hidden)

    parts = [part(Positions(rows, columns, channels), 0)]
    parts += [part(Positions(h // 2, w // 2, 3 * channels), width) for h, w in others]
    return Pyramid(shape, parts, [Surroundings(channels, width, blocks) for _ in others], known)


def resolutions(shape: tuple[int, ...], halvings: int | None) -> list[tuple[int, int]]:
    """Heights and widths, from coarse to fine. Raises ValueError for an image that cannot be halved so often."""
    if halvings is None:
        halvings = next(k for k in (2, 1, 0) if k == 0 or (_halves(shape, k) and min(shape[1:]) >= SMALLEST * 2**k))
    if not _halves(shape, halvings):
        raise ValueError(f"halvings={halvings}: {shape[1]}x{shape[2]} pixels cannot be halved so often, take fewer")
    return [(shape[1] // 2**k, shape[2] // 2**k) for k in range(halvings, -1, -1)]


def _halves(shape: tuple[int, ...], halvings: int) -> bool:
    return not any(side % 2**halvings for side in shape[1:])
