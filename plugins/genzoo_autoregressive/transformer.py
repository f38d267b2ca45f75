"""A causal transformer over patches."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genzoo.nets import ClassEmbedding
from genzoo_autoregressive.model import PatchModel, Trunk, classes
from genzoo_autoregressive.positions import Before, Positions, positions
from genzoo_autoregressive.walks import Memory, Shifted, Step, Walk, Whole


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

    def __init__(self, width: int, heads: int, length: int, dropout: float, num_classes: int | None) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, length)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.embed_class = ClassEmbedding(num_classes, width) if num_classes else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor, attend, labels: Tensor | None) -> Tensor:
        if self.embed_class is not None:
            h = h + self.embed_class(labels, h)[:, None]
        h = h + self.dropout(attend(self.attention, self.norm1(h)))
        return h + self.dropout(self.mlp(self.norm2(h)))


class Transformer(Trunk):
    def __init__(self, at: Positions, width, depth, heads, dropout, num_classes) -> None:
        super().__init__()
        self.width, self.columns = width, at.columns
        self.before = Before(at, wrap=True)
        self.above = Shifted(self.before.inputs, width, (2, 3), 1)
        self.left = Shifted(self.before.inputs, width, (2, 1), 0)
        self.places = nn.Parameter(0.02 * torch.randn(at.rows * at.columns, width))
        self.blocks = nn.ModuleList(Block(width, heads, at.rows * at.columns, dropout, num_classes) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, patches: Tensor, labels: Tensor | None) -> Tensor:
        above, left = self.before(patches)
        h = self.above(above) + self.left(left)
        shape = h.shape
        h = h.permute(0, 2, 3, 1).flatten(1, 2) + self.places
        for block in self.blocks:
            h = block(h, Attention.forward, labels)
        return self.norm(h).unflatten(1, shape[2:])

    def follow(self, patches: Tensor, row: int, column: int, memory: Memory, labels: Tensor | None) -> Tensor:
        walk, position = Step(memory, row, column, self.columns), row * self.columns + column
        if column == 0:
            walk.keep(self.before, walk.convolve(self.above, self.before.row(patches, row)))
        h = walk.recall(self.before) + walk.convolve(self.left, self.before.left(patches, row, column))
        h = h.flatten(2).transpose(1, 2) + self.places[position]
        for block in self.blocks:
            h = block(h, lambda attention, h: attention.follow(h, position, memory), labels)
        return self.norm(h)[:, 0]


def pixel_transformer(
    shape: tuple[int, ...],
    *,
    patch: PositiveInt | None = None,
    width: PositiveInt = 192,
    depth: PositiveInt = 4,
    heads: PositiveInt = 3,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    components: PositiveInt = 5,
    hidden: PositiveInt = 128,
    levels: int | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> PatchModel:
    at = positions(shape, patch, 4)
    if width % heads:
        raise ValueError(f"heads={heads} does not divide width={width}: take a divisor, such as {math.gcd(heads, width)}")
    known = classes(conditional, num_classes)
    trunk = Transformer(at, width, depth, heads, dropout, known)
    return PatchModel(at, trunk, levels, components, hidden, known)
