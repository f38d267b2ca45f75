"""RealNVP, for points and for images of any size."""

import math
from typing import ClassVar, cast

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Decoder, Density, Encoder
from genzoo.images import is_image
from genzoo_flow.layers import ActNorm, Chain, Coupling, Invertible, Logit, Squeeze


def alternating(dimension: int, parity: int) -> Tensor:
    """A mask over the coordinates of a point: 1, 0, 1, 0, ..."""
    return ((torch.arange(dimension) + parity) % 2).float()


def checkerboard(shape: tuple[int, ...], parity: int) -> Tensor:
    """A mask over the pixels: 1 where row + column is of this parity."""
    _, h, w = shape
    return ((torch.arange(h)[:, None] + torch.arange(w) + parity) % 2).float().expand(shape)


def half_of_channels(shape: tuple[int, ...], parity: int) -> Tensor:
    """A mask that is 1 on the first half of the channels, or (odd parity) on the second."""
    first = torch.arange(shape[0]) < shape[0] // 2
    return (first ^ bool(parity)).float()[:, None, None].expand(shape)


def stages(shape: tuple[int, ...], couplings: int, width: int) -> list[list[Invertible]]:
    """The layers of each scale; half of the channels leave between two scales."""
    if not is_image(shape):
        return [_couple([alternating(shape[0], i) for i in range(couplings)], width)]
    layers = _couple([checkerboard(shape, i) for i in range(couplings)], width)
    c, h, w = shape
    if h % 2 or w % 2 or max(h, w) <= 4:
        return [layers]
    squeezed = (4 * c, h // 2, w // 2)
    layers += [Squeeze(), *_couple([half_of_channels(squeezed, i) for i in range(couplings)], width)]
    return [layers, *stages((2 * c, h // 2, w // 2), couplings, width)]


def _couple(masks: list[Tensor], width: int) -> list[Invertible]:
    return [layer for mask in masks for layer in (ActNorm(tuple(mask.shape)), Coupling(mask, width))]


class RealNVP(nn.Module, Density, Encoder, Decoder):
    """A multi-scale flow of affine couplings with activation normalisation.

    log p(x) = log N(f(x); 0, I) + log|det df/dx|. Images pass a logit first; at each scale come couplings under
    checkerboard masks, a squeeze, couplings under channel masks, and half of the channels leave as part of z.

    References: Density Estimation Using Real NVP (Dinh et al., 2017); Glow (Kingma and Dhariwal, 2018) for ActNorm.

    Args:
        shape: Of one example.
        couplings: Per mask type and scale.
        width: Hidden units or channels of each coupling's net.
        levels: Grey levels of the data, which say how far dequantised images reach beyond [-1, 1].
    """

    trainer: ClassVar[str] = "maximum-likelihood"
    sampler: ClassVar[str] = "decode"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        couplings: PositiveInt | None = None,
        width: PositiveInt | None = None,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        picture = is_image(shape)
        couplings, width = couplings or (4 if picture else 12), width or (32 if picture else 64)
        self.shape, self.latent_shape = shape, (math.prod(shape),)
        bound = 1 + 1 / (levels - 1) if levels else 1.5
        first, *others = stages(shape, couplings, width)
        self.scales = nn.ModuleList([Chain(*([Logit(bound)] if picture else []), *first), *(Chain(*s) for s in others)])

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set every ActNorm from a batch of data, in order."""
        for layer in self.modules():
            if isinstance(layer, ActNorm):
                layer.waiting = True
        self.encode(x)

    def encode(self, x: Tensor) -> Tensor:
        """z = f(x), [n, dimension]."""
        return self._encode(x)[0]

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), [n], in nats."""
        z, log_det = self._encode(x)
        return log_det - 0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def decode(self, z: Tensor) -> Tensor:
        """x = f^-1(z), [n, *shape]."""
        *parts, h = self._parts(z)
        *scales, last = self._scales()
        h = last.inverse(h)
        for scale, part in zip(reversed(scales), reversed(parts), strict=True):
            h = scale.inverse(torch.cat([h, part], dim=1))
        return h

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log|det df/dx|; after every scale but the last, half of the channels leave."""
        *scales, last = self._scales()
        parts, h, log_det = [], x, x.new_zeros(len(x))
        for scale in scales:
            h, change = scale(h)
            h, part = h.chunk(2, dim=1)
            parts.append(part.flatten(1))
            log_det = log_det + change
        h, change = last(h)
        return torch.cat([*parts, h.flatten(1)], dim=1), log_det + change

    def _scales(self) -> list[Chain]:
        return cast(list[Chain], list(self.scales))

    def _parts(self, z: Tensor) -> list[Tensor]:
        """z split into what left after each scale, each in its own shape."""
        shapes: list[tuple[int, ...]] = []
        shape = self.shape
        for _ in range(len(self.scales) - 1):
            shape = (2 * shape[0], shape[1] // 2, shape[2] // 2)
            shapes.append(shape)
        shapes.append(shape)
        split = z.split([math.prod(s) for s in shapes], dim=1)
        return [part.reshape(-1, *s) for part, s in zip(split, shapes, strict=True)]
