"""A causal transformer over patches."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import known_classes
from genzoo.nets import ClassEmbedding
from genzoo_autoregressive.model import Aside, Dropout, Levels, PatchModel, Raster, Trunk
from genzoo_autoregressive.positions import Before, Positions, squares, usual_patch
from genzoo_autoregressive.walks import Memory, Shifted, Step


@dataclass(frozen=True)
class Setting:
    """What all blocks have in common."""

    width: int
    heads: int
    dropout: float
    num_classes: int | None


class Attention(nn.Module):
    """Each position looks at itself and at those before it."""

    mask: Tensor

    def __init__(self, width: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads, self.length = heads, length
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("mask", torch.full((length, length), -torch.inf).triu(1), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        """[n, length, width] of all positions.

        Written out: on processors the fused kernel's gradient takes twice as long as these products.
        """
        query, key, value = self._split(h)
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5 + self.mask.to(query.dtype)
        return self._join(scores.softmax(-1).to(value.dtype) @ value)

    def follow(self, h: Tensor, position: int, memory: Memory) -> Tensor:
        """[n, 1, width] of one position; the keys and values of those before it are in memory."""
        query, key, value = self._split(h)
        if self not in memory:
            memory[self] = key.new_empty(2, len(h), self.heads, self.length, key.shape[-1])
        memory[self][:, :, :, position] = torch.stack([key, value])[:, :, :, 0]
        keys, values = memory[self][:, :, :, : position + 1]
        return self._join(F.scaled_dot_product_attention(query, keys, values))

    def _split(self, h: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, [n, heads, positions, channels]."""
        return self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def _join(self, h: Tensor) -> Tensor:
        return self.out(h.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """h + attention(norm(h)), then h + mlp(norm(h)); the class is added before."""

    def __init__(self, setting: Setting, length: int) -> None:
        super().__init__()
        width = setting.width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, setting.heads, length)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.embed_class = ClassEmbedding(setting.num_classes, width) if setting.num_classes else None
        self.dropout = nn.Dropout(setting.dropout)

    def forward(self, h: Tensor, attend: Callable[[Attention, Tensor], Tensor], labels: Tensor | None) -> Tensor:
        if self.embed_class is not None:
            h = h + self.embed_class(labels, h)[:, None]
        h = h + self.dropout(attend(self.attention, self.norm1(h)))
        return h + self.dropout(self.mlp(self.norm2(h)))


class Transformer(Trunk):
    """Blocks over the positions, each a token of the patches right before it: above, on the left, the last in order."""

    def __init__(self, at: Positions, setting: Setting, depth: int) -> None:
        super().__init__()
        self.width, self.columns, length = setting.width, at.columns, at.rows * at.columns
        self.before = Before(at, wrap=True)
        self.above = Shifted(self.before.inputs, self.width, (2, 3), 1)
        self.left = Shifted(self.before.inputs, self.width, (2, 1), 0)
        self.places = nn.Parameter(0.02 * torch.randn(length, self.width))
        self.blocks = nn.ModuleList(Block(setting, length) for _ in range(depth))
        self.norm = nn.LayerNorm(self.width)

    def forward(self, patches: Tensor, aside: Aside) -> Tensor:
        above, left = self.before(patches)
        h = (self.above(above) + self.left(left)).permute(0, 2, 3, 1)
        return self._through(h.flatten(1, 2) + self.places, Attention.forward, aside).unflatten(1, h.shape[1:3])

    def follow(self, patches: Tensor, row: int, column: int, memory: Memory, aside: Aside) -> Tensor:
        walk, position = Step(memory, row, column, self.columns), row * self.columns + column
        if column == 0:
            walk.keep(self.before, walk.convolve(self.above, self.before.row(patches, row)))
        h = walk.recall(self.before) + walk.convolve(self.left, self.before.left(patches, row, column))

        def attend(attention: Attention, h: Tensor) -> Tensor:
            return attention.follow(h, position, memory)

        return self._through(h.flatten(2).transpose(1, 2) + self.places[position], attend, aside)[:, 0]

    def _through(self, h: Tensor, attend: Callable[[Attention, Tensor], Tensor], aside: Aside) -> Tensor:
        for block in self.blocks:
            h = block(h, attend, aside.labels)
        return self.norm(h)


def pixel_transformer(
    shape: tuple[int, ...],
    *,
    patch: PositiveInt | None = None,
    width: PositiveInt = 160,
    depth: PositiveInt = 5,
    heads: PositiveInt = 5,
    dropout: Dropout = 0.0,
    components: PositiveInt = 5,
    hidden: PositiveInt = 128,
    levels: Levels | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> PatchModel:
    """A causal transformer over patches: exact log P(image), one evaluation a position, keys and values kept.

    log P(x) = sum_i log P(x_i | x_1, ..., x_{i-1}) over squares of pixels in raster order, and within a square over its
    numbers by a small network of their own. A token is a linear map of the squares above and before a position plus an
    embedding of the place; blocks of causal attention and a multilayer perceptron, normalised before each.

    References: Image Transformer (Parmar et al., 2018); Generative Pretraining from Pixels (Chen et al., 2020).

    Args:
        shape: (channels, height, width) of one image.
        patch: Side of a square; by default 4, and 1 for images of at most 16 pixels a side or that 4 does not divide.
        width: Features of a token.
        depth: Blocks.
        heads: Of the attention; a divisor of the width.
        dropout: In every block.
        components: Of the mixture of logistics; with at most 32 levels there is a softmax instead.
        hidden: Units of the head for each number.
        levels: Grey levels of the data; None for 256.
        num_classes: Classes of the data.
        conditional: Whether it is told the class.

    Raises:
        ValueError: points; an image that the squares do not divide; classes asked for where there are none; heads that
            do not divide the width.
    """
    if width % heads:
        raise ValueError(f"heads={heads} does not divide width={width}: take a divisor of it")
    patch = patch or usual_patch(shape, 4)
    at = squares(shape, patch)
    known = known_classes(num_classes) if conditional else None
    trunk = Transformer(at, Setting(width, heads, dropout, known), depth)
    return PatchModel(shape, patch, Raster(at, trunk, levels, components, hidden), known)
