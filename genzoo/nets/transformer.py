"""The diffusion transformer: attention between patches, every layer modulated by noise level and class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.nets.attention import HEAD, SelfAttention
from genzoo.nets.classes import ClassEmbedding
from genzoo.nets.mlp import embedded_time, sinusoids


def grid_positions(rows: int, columns: int, width: int) -> Tensor:
    """Sinusoids of each patch's row and column, half of the width each, [rows * columns, width]."""
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.cat([sinusoids(axis.flatten(), width // 2) for axis in (row, column)], dim=1)


def _modulated(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(shift, F.layer_norm(h, h.shape[-1:], eps=1e-6), 1 + scale)


class Block(nn.Module):
    """Attention and then an MLP, each normalised, shifted, scaled and gated by the embedding; both start as nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = self.modulate(embedding)[:, None].chunk(6, dim=2)
        h = torch.addcmul(h, gate, self.attention(_modulated(h, shift, scale)))
        return torch.addcmul(h, gate_mlp, self.mlp(_modulated(h, shift_mlp, scale_mlp)))


class Transformer(nn.Module):
    """Patches to tokens, blocks of attention, tokens to patches: x [n, c, h, w], t [n] in [0, 1], labels [n] or None.

    Reference: Scalable Diffusion Models with Transformers (Peebles and Xie, 2023), with adaLN-Zero blocks.

    Args:
        shape: Of one image.
        width: Of a token; a multiple of 32, the width of a head.
        depth: Blocks.
        patch: Side of the square of pixels that is one token: 4 by default above 16 pixels, else 2.
        outputs: Pictures of that shape that it makes, [n, outputs * c, h, w]: 2 for a mean and a variance.
        num_classes: If it is told of classes.
    """

    positions: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int | None = None,
        depth: int = 6,
        patch: int | None = None,
        outputs: int = 1,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        width = width or 128
        if width % HEAD:
            raise ValueError(f"width={width} of a transformer is not a multiple of {HEAD}, the width of a head")
        self.patch, self.width = patch or (4 if max(shape[1:]) > 16 else 2), width
        rows, columns = (-(-side // self.patch) for side in shape[1:])
        pixels = shape[0] * self.patch**2
        self.embed_t = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_class = ClassEmbedding(num_classes, width)
        self.register_buffer("positions", grid_positions(rows, columns, width), persistent=False)
        self.embed_x = nn.Linear(pixels, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.modulate = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, outputs * pixels)
        for layer in (self.modulate, self.head):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        height, width = x.shape[2:]
        embedding = F.silu(self.embed_t(embedded_time(t, self.width)) + self.embed_class(labels, x))
        patches = F.pixel_unshuffle(F.pad(x, (0, -width % self.patch, 0, -height % self.patch)), self.patch)
        h = self.embed_x(patches.flatten(2).transpose(1, 2)) + self.positions
        for block in self.blocks:
            h = block(h, embedding)
        shift, scale = self.modulate(embedding)[:, None].chunk(2, dim=2)
        out = self.head(_modulated(h, shift, scale)).transpose(1, 2).unflatten(2, patches.shape[2:])
        return F.pixel_shuffle(out, self.patch)[:, :, :height, :width]
