"""A scatter plot of points as a picture."""

import numpy as np
from PIL import Image
from torch import Tensor

REACH, SIDE = 2.6, 320


def scatter(points: Tensor) -> Image.Image:
    """Points [n, 2] in [-2.6, 2.6]^2 as a 320 x 320 picture, darker where there are more."""
    edges = np.linspace(-REACH, REACH, SIDE + 1)
    counts, _, _ = np.histogram2d(points[:, 1].numpy(), points[:, 0].numpy(), bins=(edges, edges))
    ink = 1 - np.exp(-1.5 * counts / max(1.0, len(points) / 10_000))
    return Image.fromarray((255 * (1 - ink[::-1])).astype(np.uint8))
