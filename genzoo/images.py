"""Between numbers and pictures: the one map from levels to [-1, 1], the one quantiser back, modes, sample grids."""

from functools import cache
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.special import log_ndtr

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""What is opened as a picture, whatever its suffix: PostScript, for one, is a program that would be run."""
DEEP_GREY = ("I", "I;16", "I;16L", "I;16B", "I;16N")
GREY = ("1", "L", "LA", "La", *DEEP_GREY)
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


_T = TypeVar("_T", Tensor, nn.Module)


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether ``shape`` is (channels, height, width); points are (dimension,)."""
    return len(shape) == 3


def laid_out(x: _T) -> _T:
    """Pictures, or a model with its kernels, with a pixel's channels side by side in memory.

    Convolutions are then three times as fast on a processor. Only what has four dimensions is touched: pictures, and
    the parameters of a model, in place.
    """
    if isinstance(x, Tensor):
        return _channels_last(x)
    for parameter in x.parameters():
        parameter.data = _channels_last(parameter.data)
    return x


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def to_unit(levels_nhwc: Tensor, levels: int) -> Tensor:
    """Integer levels 0..L-1, [n, h, w, c], as x = 2k / (L - 1) - 1 in [-1, 1], [n, c, h, w] float32."""
    return (levels_nhwc.permute(0, 3, 1, 2).float() * (2 / (levels - 1)) - 1).contiguous()


def to_levels(x: Tensor, levels: int) -> Tensor:
    """The nearest level, floor((L - 1)(x + 1) / 2 + 1/2) clipped to 0..L-1: [n, c, h, w] to uint8 [n, h, w, c].

    Half rounds up; never a per-image minimum and maximum.
    """
    top = levels - 1
    rounded = torch.floor((top * (x.double() + 1) / 2).clamp(0, top) + 0.5)
    return rounded.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def to_uint8(levels_nhwc: Tensor, levels: int) -> Tensor:
    """Levels 0..L-1 spread over 0..255 (the identity for 256 levels), uint8 of the same shape."""
    if levels == 256:
        return levels_nhwc
    spread = torch.floor(levels_nhwc.double() * 255 / (levels - 1) + 0.5)
    return spread.to(torch.uint8)


def quantise(x: Tensor, levels: int) -> Tensor:
    """Model output [n, c, h, w] in [-1, 1] as uint8 pictures [n, h, w, c], rounded to the data's own levels."""
    return to_uint8(to_levels(x, levels), levels)


def on_levels(pixels: np.ndarray, levels: int) -> np.ndarray:
    """uint8 pictures of any shape rounded to L levels spread over 0..255; what lies on them stays as it is."""
    return _nearest(levels)[pixels]


@cache
def _nearest(levels: int) -> np.ndarray:
    """The nearest of the levels to each of 0..255."""
    greys = torch.arange(256, dtype=torch.uint8).view(1, 1, 256, 1)
    return quantise(to_unit(greys, 256), levels).flatten().numpy()


def as_8_bit(image: Image.Image, mode: str) -> Image.Image:
    """A picture of any mode as ``mode``, L or RGB.

    Transparency is laid over white, palettes become RGB, 16-bit grey v becomes floor(v / 257 + 1/2), colour becomes
    grey by its luma (ITU-R 601-2), every other colour space becomes RGB.

    Raises:
        ValueError: floating-point pixels, or more than 16 bits.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels have no range; save it with 8 bits")
    if image.mode in DEEP_GREY:
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 0xFFFF:
            raise ValueError("more than 16 bits a pixel; save it with 8 bits")
        image = Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    elif image.mode in TRANSPARENT or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return image.convert(mode)


def grid(images: Tensor, *, columns: int = 8, scale: int = 1, pad: int = 1) -> Image.Image:
    """uint8 images [n, h, w, c] tiled row by row, each pixel enlarged ``scale`` times without smoothing."""
    n, h, w, c = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * (h + pad) + pad, columns * (w + pad) + pad, c), 128, dtype=np.uint8)
    for i, image in enumerate(images.cpu().numpy()):
        top, left = pad + (i // columns) * (h + pad), pad + (i % columns) * (w + pad)
        sheet[top : top + h, left : left + w] = image
    picture = Image.fromarray(sheet[..., 0] if c == 1 else sheet)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def log_normal_mass(x: Tensor, mean: Tensor, std: Tensor | float, levels: int) -> Tensor:
    """log P(level) of a normal discretised to ``levels`` bins over [-1, 1], the outer bins open; same shape as ``x``.

    log [Phi(b) - Phi(a)] of the bin's borders in standard units, taken in the tail where both are small.

    Reference: Denoising Diffusion Probabilistic Models (Ho et al., 2020), equation 13.
    """
    half = 1 / (levels - 1)
    low, high = (x - half - mean) / std, (x + half - mean) / std
    low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)
    inside = log_ndtr(high) + torch.log(-torch.expm1(log_ndtr(low) - log_ndtr(high)))
    first, last = log_ndtr((x + half - mean) / std), log_ndtr((mean - x + half) / std)
    return torch.where(x < -1 + half, first, torch.where(x > 1 - half, last, inside))
