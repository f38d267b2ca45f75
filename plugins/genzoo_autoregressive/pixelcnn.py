"""PixelCNN++: two streams of gated convolutions, one of the rows above, one along the row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple, cast

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import known_classes
from genzoo.nets import ClassEmbedding
from genzoo_autoregressive.model import Aside, Dropout, Levels, PatchModel, Raster, Trunk
from genzoo_autoregressive.positions import Before, Positions, squares, usual_patch
from genzoo_autoregressive.walks import Enlarge, Memory, Shifted, Step, Walk, Whole


@dataclass(frozen=True)
class Setting:
    """What all blocks have in common."""

    width: int
    dropout: float
    num_classes: int | None


class Block(nn.Module):
    """h + a * sigmoid(b), where (a, b) = conv(silu(conv(silu(h)) + of the context)) + of the class."""

    def __init__(self, setting: Setting, kernel: tuple[int, int], right: int, contexts: int) -> None:
        super().__init__()
        width = setting.width
        self.conv1 = Shifted(width, 2 * width, kernel, right)
        self.context = nn.Conv2d(contexts * width, 2 * width, 1, bias=False) if contexts else None
        self.conv2 = Shifted(2 * width, 2 * width, kernel, right)
        self.embed_class = ClassEmbedding(setting.num_classes, 2 * width) if setting.num_classes else None
        self.dropout = nn.Dropout(setting.dropout)
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)

    def forward(self, h: Tensor, walk: Walk, *contexts: Tensor) -> Tensor:
        inner = walk.convolve(self.conv1, F.silu(h))
        if self.context is not None:
            inner = inner + self.context(torch.cat(contexts, dim=1))
        gated = walk.convolve(self.conv2, self.dropout(F.silu(inner)))
        if self.embed_class is not None:
            gated = gated + self.embed_class(walk.labels, h)[:, :, None, None]
        return h + F.glu(gated, dim=1)


class Pair(nn.Module):
    """A block of the stream that sees all rows above, and one of the stream along the row, which sees the former."""

    def __init__(self, setting: Setting, skips: int) -> None:
        super().__init__()
        self.vertical = Block(setting, (2, 3), 1, skips)
        self.horizontal = Block(setting, (2, 2), 0, skips + 1)

    def down(self, h: Tensor, walk: Walk, *skips: Tensor) -> Tensor:
        """The vertical stream; what it makes is kept for the other one."""
        h = self.vertical(h, walk, *skips)
        walk.keep(self, h)
        return h

    def across(self, h: Tensor, walk: Walk, *skips: Tensor) -> Tensor:
        """The horizontal stream."""
        return self.horizontal(h, walk, walk.recall(self), *skips)


class Stream(NamedTuple):
    """How a stream goes through a pair, and which of the layers that change the resolution are its own."""

    through: Callable[..., Tensor]
    layer: int


DOWN, ACROSS = Stream(Pair.down, 0), Stream(Pair.across, 1)


class Scale(nn.Module):
    """Pairs on the way in, the same at half the resolution, and pairs on the way out that see those on the way in."""

    def __init__(self, setting: Setting, blocks: tuple[int, ...]) -> None:
        super().__init__()
        width, (own, *others) = setting.width, blocks
        self.inner = Scale(setting, tuple(others)) if others else None
        self.into = nn.ModuleList(Pair(setting, 0) for _ in range(own))
        self.out = nn.ModuleList(Pair(setting, 1) for _ in range(own + bool(others)))
        if self.inner is not None:
            self.shrink = nn.ModuleList([Shifted(width, width, (2, 3), 1, 2), Shifted(width, width, (2, 2), 0, 2)])
            self.enlarge = nn.ModuleList([Enlarge(width, (2, 3)), Enlarge(width, (2, 2))])

    def forward(self, h: Tensor, stream: Stream, walk: Walk) -> Tensor:
        skips = [h]
        for pair in self.into:
            skips.append(stream.through(pair, skips[-1], walk))
        h = skips.pop() if self.inner is None else self._inside(self.inner, skips[-1], stream, walk)
        for pair in self.out:
            h = stream.through(pair, h, walk, skips.pop())
        return h

    def _inside(self, inner: nn.Module, h: Tensor, stream: Stream, walk: Walk) -> Tensor:
        def below(small: Tensor, walk: Walk) -> Tensor:
            return inner(small, stream, walk)

        shrink, enlarge = self.shrink[stream.layer], self.enlarge[stream.layer]
        return walk.inside(cast(Shifted, shrink), cast(Enlarge, enlarge), below, h)


class Convolutions(Trunk):
    """The two streams over patches; a context of so many features is added where they begin."""

    def __init__(self, at: Positions, setting: Setting, blocks: tuple[int, ...], context: int = 0) -> None:
        super().__init__()
        self.width, self.columns = setting.width, at.columns
        self.before = Before(at)
        self.above = Shifted(self.before.inputs, self.width, (2, 3), 1)
        self.row_above = Shifted(self.before.inputs, self.width, (1, 3), 1)
        self.left = Shifted(self.before.inputs, self.width, (2, 1), 0)
        self.context = nn.Conv2d(context, 2 * self.width, 1) if context else None
        self.scale = Scale(setting, blocks)

    def forward(self, patches: Tensor, aside: Aside) -> Tensor:
        walk = Whole(aside.labels)
        above, left = self.before(patches)
        self._down(above, aside.context, walk)
        return self._across(left, walk).permute(0, 2, 3, 1)

    def follow(self, patches: Tensor, row: int, column: int, memory: Memory, aside: Aside) -> Tensor:
        walk = Step(memory, row, column, self.columns, aside.labels)
        if column == 0:
            context = None if aside.context is None else aside.context[:, :, row : row + 1]
            self._down(self.before.row(patches, row), context, walk)
        return self._across(self.before.left(patches, row, column), walk).flatten(1)

    def _down(self, above: Tensor, context: Tensor | None, walk: Walk) -> None:
        """The whole vertical stream, and what the other one begins with of the row above."""
        h, row = walk.convolve(self.above, above), walk.convolve(self.row_above, above)
        if self.context is not None and context is not None:
            for_h, for_row = self.context(context).chunk(2, dim=1)
            h, row = h + for_h, row + for_row
        self.scale(h, DOWN, walk)
        walk.keep(self.before, row)

    def _across(self, left: Tensor, walk: Walk) -> Tensor:
        return F.silu(self.scale(walk.recall(self.before) + walk.convolve(self.left, left), ACROSS, walk))


def pixelcnn(
    shape: tuple[int, ...],
    *,
    patch: PositiveInt | None = None,
    width: PositiveInt = 64,
    blocks: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (1, 1),
    dropout: Dropout = 0.0,
    components: PositiveInt = 5,
    hidden: PositiveInt = 128,
    levels: Levels | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> PatchModel:
    """PixelCNN++ over patches: exact log P(image), one network evaluation a position.

    log P(x) = sum_i log P(x_i | x_1, ..., x_{i-1}) over squares of pixels in raster order, and within a square over its
    numbers by a small network of their own: squares of 4x4 pixels cost the convolutions a sixteenth of what single
    pixels do. A stream of convolutions that sees the rows above and one that walks along the row; gated residual
    blocks; both go to half the resolution and back, with skips. Each number has a mixture of discretised logistics, or
    a softmax where there are at most 32 levels.

    Beside the paper: blocks have as many weights, but twice the hidden channels and one SiLU for the ELU of both signs,
    which moves half of the memory; no weight normalisation; the numbers of a square, and so the colours of a pixel,
    follow one another through the small network, not linearly.

    References: PixelCNN++ (Salimans et al., 2017); Conditional Image Generation with PixelCNN Decoders (van den Oord et
    al., 2016), for the two streams and their gates.

    Args:
        shape: (channels, height, width) of one image.
        patch: Side of a square; by default 4, and 1 for images of at most 16 pixels a side or that 4 does not divide.
        width: Channels; the paper has 160.
        blocks: At each resolution, from that of the squares down; the paper has 5, 5, 5.
        dropout: In every block; the paper has 0.5.
        components: Of the mixture of logistics; the paper has 10.
        hidden: Units of the head for each number.
        levels: Grey levels of the data; None for 256.
        num_classes: Classes of the data.
        conditional: Whether it is told the class.

    Raises:
        ValueError: points; an image that the squares do not divide; classes asked for where there are none.
    """
    patch = patch or usual_patch(shape, 4)
    at = squares(shape, patch)
    known = known_classes(num_classes) if conditional else None
    trunk = Convolutions(at, Setting(width, dropout, known), blocks)
    return PatchModel(shape, patch, Raster(at, trunk, levels, components, hidden), known)
