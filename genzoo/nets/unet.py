"""The net of many noise levels: a UNet over patches for images, a residual MLP for points."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image
from genzoo.nets.attention import SelfAttention
from genzoo.nets.classes import ClassEmbedding
from genzoo.nets.mlp import ResidualMLP, embedded_time
from genzoo.nets.norm import normalise


def zero(layer: nn.Conv2d | nn.Linear) -> None:
    """A layer that says nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


class Block(nn.Module):
    """h + conv(silu((1 + a) normalise(conv(silu(normalise(h)))) + b)), a and b of the noise level and the class."""

    def __init__(self, fan_in: int, fan_out: int, embedding: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * fan_out)
        self.skip = nn.Identity() if fan_in == fan_out else nn.Conv2d(fan_in, fan_out, 1)
        zero(self.conv2)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        a, b = self.modulate(embedding)[:, :, None, None].chunk(2, dim=1)
        inner = torch.addcmul(b, normalise(self.conv1(F.silu(normalise(h)))), 1 + a)
        return self.skip(h) + self.conv2(F.silu(inner))


class Middle(nn.Module):
    """A block, attention of every position to every other, a block."""

    def __init__(self, channels: int, embedding: int) -> None:
        super().__init__()
        self.before, self.after = Block(channels, channels, embedding), Block(channels, channels, embedding)
        self.attention = SelfAttention(channels)
        zero(self.attention.project)

    def forward(self, h: Tensor, embedding: Tensor) -> Tensor:
        h = self.before(h, embedding)
        tokens = normalise(h).flatten(2).transpose(1, 2)
        h = h + self.attention(tokens).transpose(1, 2).unflatten(2, h.shape[2:])
        return self.after(h, embedding)


class UNet(nn.Module):
    """Patches, then stages that halve the picture, then back with skips: x [n, c, h, w], t [n] in [0, 1].

    Reference: Denoising Diffusion Probabilistic Models (Ho et al., 2020), appendix B.

    Args:
        shape: Of one image.
        width: Channels of the first stage; the others have twice as many.
        patch: Side of the squares of pixels that it sees as one position.
        outputs: Pictures of that shape that it makes: 2 for a mean and a variance.
        num_classes: If it is told of classes.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int | None = None,
        patch: int | None = None,
        outputs: int = 1,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        side = max(shape[1:])
        self.patch = patch or (2 if side > 16 else 1)
        width = width or 32 * self.patch
        stages = min(4, max(2, int(math.log2(side / self.patch / 4)) + 1))
        self.unit = self.patch * 2 ** (stages - 1)
        channels, pixels = [width * min(2**i, 2) for i in range(stages)], shape[0] * self.patch**2
        self.width, embedding = width, 4 * width
        self.embed_t = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        self.embed_class = ClassEmbedding(num_classes, embedding)
        self.stem = nn.Conv2d(pixels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(a, b, embedding) for a, b in zip([width, *channels], channels, strict=False))
        self.shrink = nn.ModuleList(nn.Conv2d(c, c, 3, stride=2, padding=1) for c in channels[:-1])
        self.middle = Middle(channels[-1], embedding)
        backwards = channels[::-1]
        self.up = nn.ModuleList(
            Block(a + b, b, embedding) for a, b in zip([backwards[0], *backwards], backwards, strict=False)
        )
        self.head = nn.Conv2d(width, outputs * pixels, 3, padding=1)
        zero(self.head)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        h, w = x.shape[2:]
        embedding = F.silu(self.embed_t(embedded_time(t, self.width)) + self.embed_class(labels, x))
        hidden = self.stem(F.pixel_unshuffle(F.pad(x, (0, -w % self.unit, 0, -h % self.unit)), self.patch))
        skips = []
        for i, block in enumerate(self.down):
            hidden = block(hidden, embedding)
            skips.append(hidden)
            hidden = self.shrink[i](hidden) if i < len(self.shrink) else hidden
        hidden = self.middle(hidden, embedding)
        for i, block in enumerate(self.up):
            hidden = F.interpolate(hidden, scale_factor=2.0) if i else hidden
            hidden = block(torch.cat([hidden, skips.pop()], dim=1), embedding)
        return F.pixel_shuffle(self.head(F.silu(normalise(hidden))), self.patch)[:, :, :h, :w]


def vector_field(
    shape: tuple[int, ...],
    *,
    width: int | None = None,
    patch: int | None = None,
    outputs: int = 1,
    num_classes: int | None = None,
) -> nn.Module:
    """``net(x [n, *shape], t [n] in [0, 1], labels [n] or None) -> [n, outputs * channels, ...]``."""
    if is_image(shape):
        return UNet(shape, width=width, patch=patch, outputs=outputs, num_classes=num_classes)
    return ResidualMLP(shape[0], width or 128, 3, outputs=outputs, num_classes=num_classes)
