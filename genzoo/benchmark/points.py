"""Point samples over the true density, as PNG."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw

from genzoo.data.points import PointDensity

PIXELS, SHOWN = 560, 2000
TRUTH, INSIDE, OUTSIDE = (128, 134, 150), (58, 123, 226), (232, 98, 42)


@dataclass(frozen=True)
class Plate:
    """The true density as a shade of grey on a transparent ground, over [-limit, limit] squared."""

    density: PointDensity
    shade: Image.Image
    limit: float

    @classmethod
    def of(cls, density: PointDensity) -> "Plate":
        """A plate wide enough for all but the farthest of 4096 exact draws."""
        draws = density.sample(4096, torch.Generator().manual_seed(0))
        limit = 1.2 * float(draws.abs().max())
        axis = torch.linspace(-limit, limit, PIXELS // 2)
        y, x = torch.meshgrid(axis.flip(0), axis, indexing="ij")
        log_prob = density.log_prob(torch.stack([x, y], -1).reshape(-1, 2)).reshape(x.shape)
        height = torch.exp(log_prob - log_prob.max()).nan_to_num(0.0).numpy()
        pixels = np.full((*height.shape, 4), (*TRUTH, 0), dtype=np.uint8)
        pixels[..., 3] = 150 * np.sqrt(height)
        return cls(density, Image.fromarray(pixels).resize((PIXELS, PIXELS), Image.Resampling.BILINEAR), limit)

    def draw(self, points: np.ndarray) -> bytes:
        """The first 2000 points: blue inside the true 99 % region, orange outside; those beyond the edge are lost."""
        shown = points[:SHOWN][np.isfinite(points[:SHOWN]).all(axis=1)]
        good = self.density.log_prob(torch.as_tensor(shown, dtype=torch.float32)) >= self.density.threshold_99
        layer = Image.new("RGBA", (2 * PIXELS, 2 * PIXELS), (*INSIDE, 0))
        brush = ImageDraw.Draw(layer)
        pixels = PIXELS * (1 + shown * (1, -1) / self.limit)
        for (x, y), inside in zip(pixels, good.tolist(), strict=True):
            brush.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(*(INSIDE if inside else OUTSIDE), 215))
        layer = layer.resize((PIXELS, PIXELS), Image.Resampling.BOX)
        return _png(Image.alpha_composite(self.shade, layer))


def _png(image: Image.Image) -> bytes:
    """Few colours are enough, and make the file a third of its size."""
    buffer = io.BytesIO()
    image.quantize(128, method=Image.Quantize.FASTOCTREE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
