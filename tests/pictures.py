"""Pictures of noise for tests, and the kinds that are wanted."""

from pathlib import Path

import numpy as np
from PIL import Image

from genzoo.evaluation.pictures import Wanted

GREY, COLOUR = Wanted((1, 8, 8), 256), Wanted((3, 8, 8), 256)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def picture(folder: Path, name: str, mode: str, *, size: tuple[int, int] = (8, 8)) -> Path:
    """A picture of noise of any mode."""
    path = folder / name
    if mode == "I;16":
        Image.fromarray(noise(*size[::-1]).astype(np.uint16) * 257).save(path)
    elif mode == "P":
        Image.fromarray(noise(*size[::-1], 3)).quantize(200).save(path)
    else:
        Image.fromarray(noise(*size[::-1], 4), "RGBA").convert(mode).save(path)
    return path
