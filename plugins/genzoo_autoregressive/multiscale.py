"""From coarse to fine: a small image first, and then what lies between its pixels."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, cast

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import known_classes
from genzoo_autoregressive.model import Aside, AutoregressiveModel, Draw, Dropout, Levels, Raster
from genzoo_autoregressive.pixelcnn import Convolutions, Setting
from genzoo_autoregressive.positions import Positions, refuse_points, seen, squares
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


class Part(nn.Module):
    """The pixels that an image adds to a coarser one: log P(those in each square | the coarser image, squares before).

    ``factor`` is the side of a square, of which the coarser image has the first pixel.
    """

    def __init__(self, factor: int, around: Surroundings, raster: Raster) -> None:
        super().__init__()
        self.factor, self.around, self.raster = factor, around, raster

    def log_mass(self, coarse: Tensor, between: Tensor, labels: Tensor | None) -> Tensor:
        """[n], of what :func:`apart` makes of an image."""
        return self.raster.log_mass(between, Aside(labels, self.around(coarse)))

    def follow(self, image: Tensor, position: int, memory: Memory, labels: Tensor | None) -> Draw:
        """See :class:`genzoo_autoregressive.model.Autoregressive`."""
        coarse, between = apart(image, self.factor)
        if self not in memory:
            memory[self] = self.around(coarse)
        draw = self.raster.follow(between, position, memory, Aside(labels, memory[self]))
        return lambda generator, temperature: together(coarse, draw(generator, temperature), self.factor)


class Pyramid(AutoregressiveModel):
    """log P(x) = log P(coarsest image) + sum, from coarse to fine, of log P(the pixels between | the coarser image)."""

    def __init__(
        self, shape: tuple[int, ...], coarsest: Raster, parts: Sequence[Part], num_classes: int | None
    ) -> None:
        super().__init__(shape, num_classes)
        self.coarsest = coarsest
        self.parts = nn.ModuleList(parts)
        self.stages = tuple(r.at.rows * r.at.columns for r in (coarsest, *(part.raster for part in parts)))

    def log_mass(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x), [n], in nats."""
        log_mass = x.new_zeros(len(x))
        for part in reversed(self._parts()):
            x, between = apart(x, part.factor)
            log_mass = log_mass + part.log_mass(x, between, labels)
        return log_mass + self.coarsest.log_mass(x, Aside(labels))

    def follow(self, x: Tensor, position: int, memory: Memory, labels: Tensor | None = None) -> Draw:
        """See :class:`genzoo_autoregressive.model.Autoregressive`."""
        stage = bisect.bisect_right(list(itertools.accumulate(self.stages)), position)
        position -= sum(self.stages[:stage])
        every = math.prod(part.factor for part in self._parts()[stage:])
        image = x[:, :, ::every, ::every]
        if stage == 0:
            draw = self.coarsest.follow(image.clone(), position, memory, Aside(labels))
        else:
            draw = self._parts()[stage - 1].follow(image, position, memory, labels)

        def put(generator: Generator, temperature: float) -> Tensor:
            finer = x.clone()
            finer[:, :, ::every, ::every] = draw(generator, temperature)
            return finer

        return put

    def _parts(self) -> list[Part]:
        return cast(list[Part], list(self.parts))


def apart(x: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """The first pixel of every square of x [n, c, h, w], [n, c, h/f, w/f]; the others, [n, c (f^2 - 1), h/f, w/f]."""
    pixels = F.pixel_unshuffle(x, factor).unflatten(1, (-1, factor**2))
    return pixels[:, :, 0], pixels[:, :, 1:].flatten(1, 2)


def together(coarse: Tensor, between: Tensor, factor: int) -> Tensor:
    """The inverse of :func:`apart`."""
    pixels = torch.cat([coarse[:, :, None], between.unflatten(1, (-1, factor**2 - 1))], 2)
    return F.pixel_shuffle(pixels.flatten(1, 2), factor)


def multiscale_pixelcnn(
    shape: tuple[int, ...],
    *,
    factors: tuple[Annotated[int, Field(ge=2)], ...] | None = None,
    width: PositiveInt = 80,
    blocks: PositiveInt = 1,
    dropout: Dropout = 0.0,
    components: PositiveInt = 5,
    hidden: PositiveInt = 128,
    levels: Levels | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> Pyramid:
    """PixelCNN++ from coarse to fine: exact log P(image), one network evaluation a position of each resolution.

    The coarsest image, every f-th pixel of every f-th row, pixel by pixel; then the pixels between, square by square,
    given the whole coarser image and the squares before; and so on to the image itself. What garment it is, is decided
    in the first few pixels; the nets after that fill in what they see on all sides. Each resolution has the streams,
    the blocks and the head of ``pixelcnn`` for itself.

    References: Parallel Multiscale Autoregressive Density Estimation (Reed et al., 2017), for the order, with squares
    that depend on one another where they are drawn at once there; PixelCNN++ (Salimans et al., 2017).

    Args:
        shape: (channels, height, width) of one image.
        factors: From each resolution to the next, coarse to fine; by default 4, or 2, or none, as the image allows that
            with at least 4 pixels a side left.
        width: Channels.
        blocks: Of each stream on the way in, and as many on the way out, at each resolution.
        dropout: In every block.
        components: Of the mixture of logistics; with at most 32 levels there is a softmax instead.
        hidden: Units of the heads for each number.
        levels: Grey levels of the data; None for 256.
        num_classes: Classes of the data.
        conditional: Whether it is told the class.

    Raises:
        ValueError: points; factors that do not divide the image; classes asked for where there are none.
    """
    refuse_points(shape)
    factors = usual_factors(shape) if factors is None else factors
    refuse_remainders(shape, factors)
    channels = shape[0]
    known = known_classes(num_classes) if conditional else None
    setting = Setting(width, dropout, known)

    def raster(at: Positions, context: int) -> Raster:
        return Raster(at, Convolutions(at, setting, (blocks,), context), levels, components, hidden)

    at = replace(squares(shape, math.prod(factors)), numbers=channels)
    coarsest, parts = raster(at, 0), []
    for factor in factors:
        between = replace(at, numbers=channels * (factor**2 - 1))
        parts.append(Part(factor, Surroundings(channels, width, blocks), raster(between, width)))
        at = Positions(at.rows * factor, at.columns * factor, channels)
    return Pyramid(shape, coarsest, parts, known)


def refuse_remainders(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    """Raise ValueError unless the factors divide the image."""
    if any(side % math.prod(factors) for side in shape[1:]):
        size = f"{shape[1]}x{shape[2]}"
        raise ValueError(f"factors={list(factors)} do not divide {size} pixels: take fewer or smaller ones")


def usual_factors(shape: tuple[int, ...]) -> tuple[int, ...]:
    """4, 2 or nothing: what divides the image and leaves 4 pixels a side."""
    fits = [f for f in (4, 2) if not any(side % f or side < SMALLEST * f for side in shape[1:])]
    return tuple(fits[:1])
