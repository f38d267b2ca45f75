"""Generated colour pictures: ten shapes of any colour, size and place on a ground that fades between two colours.

Made of integers and square roots alone, so that every machine makes the same ones. Imports no torch.
"""

import numpy as np
import pyarrow as pa
from datasets import Dataset

from genzoo.data import cache
from genzoo.data.rows import Rows, find_classes

SIDE, NUM = 32, {"train": 10_000, "test": 5_000}
SEEDS = {"train": 0, "test": 1}
VERSION = 1

# Each is what is inside, given offsets u and v from the centre in units of the shape's radius, [n, 32, 32].
FORMS = {
    "disc": lambda u, v: np.sqrt(u**2 + v**2) - 1,
    "ring": lambda u, v: np.abs(np.sqrt(u**2 + v**2) - 0.75) - 0.25,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) - 0.85,
    "frame": lambda u, v: np.abs(np.maximum(abs(u), abs(v)) - 0.65) - 0.2,
    "diamond": lambda u, v: abs(u) + abs(v) - 1,
    "triangle": lambda u, v: np.maximum(v - 0.75, 2 * abs(u) - 0.9 - v) / 1.5,
    "plus": lambda u, v: np.maximum(np.minimum(abs(u), abs(v)) - 0.28, np.maximum(abs(u), abs(v)) - 1),
    "cross": lambda u, v: np.maximum(np.minimum(abs(u + v), abs(u - v)) - 0.36, np.maximum(abs(u), abs(v)) - 0.9),
    "bars": lambda u, v: np.maximum(np.minimum(abs(v - 0.55), abs(v + 0.55)) - 0.28, abs(u) - 0.9),
    "columns": lambda u, v: np.maximum(np.minimum(abs(u - 0.55), abs(u + 0.55)) - 0.28, abs(v) - 0.9),
}


def shapes() -> Rows:
    """10,000 + 5,000 pictures of 32 x 32 in colour, of the ten classes :data:`FORMS`."""
    train, test = (_dataset(*pictures(NUM[split], SEEDS[split])) for split in ("train", "test"))
    content = cache.digest_json({"shapes": VERSION, "num": NUM, "seeds": SEEDS})
    return Rows(train, test, classes=find_classes(train, test), shape=(SIDE, SIDE, 3), content=content)


def pictures(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [n, 32, 32, 3] and classes [n]."""
    random = np.random.default_rng(seed)
    labels = np.sort(random.integers(len(FORMS), size=n))
    radius, centre = random.uniform(6, 11, n), random.uniform(12, 20, (2, n))
    colours, flat = random.uniform(0, 255, (3, n, 3)), random.uniform(0, 1, n)
    y, x = np.mgrid[:SIDE, :SIDE]
    u, v = ((axis - middle[:, None, None]) / radius[:, None, None] for axis, middle in zip((x, y), centre, strict=True))
    outside = np.concatenate([form(u[labels == k], v[labels == k]) for k, form in enumerate(FORMS.values())])
    cover = np.clip(0.5 - outside * radius[:, None, None], 0, 1)[..., None]  # edges one pixel wide
    fade = (flat[:, None, None] * x + (1 - flat)[:, None, None] * y)[..., None] / (SIDE - 1)
    first, second, ink = colours[:, :, None, None, :]
    ground = first + (second - first) * fade
    order = random.permutation(n)
    return np.rint(ground + (ink - ground) * cover).astype(np.uint8)[order], labels[order]


def _dataset(images: np.ndarray, labels: np.ndarray) -> Dataset:
    pixels = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), images[0].size)
    return Dataset(pa.table({"image": pixels, "label": pa.array(labels.astype(np.int64))}))
