"""From rows to pictures: reading files, colour, resizing, and rows that are decoded only when they are asked for.

What is not 8-bit grey or RGB is converted by :func:`genzoo.images.as_8_bit`. A data set is grey if all its images are,
else RGB. Camera orientation tags are applied. Of an animation the first frame counts. ``size`` crops the longer side
about the centre and resizes with Pillow's antialiased Lanczos filter (integer arithmetic: the same result on every
machine).
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset
from PIL import Image, ImageOps
from torch import Tensor

from genzoo.data.rows import Rows
from genzoo.errors import DataError
from genzoo.images import FORMATS, GREY, as_8_bit, to_uint8

Shape = tuple[int, int, int]
BLOCK = 256
NUM_NAMED = 3
ORIENTATION = 0x0112


class Decoder(Protocol):
    """Turns rows into pictures of one shape (height, width, channels)."""

    @property
    def shape(self) -> Shape:
        """Of each picture."""

    def __call__(self, dataset: Dataset, indices: Sequence[int]) -> np.ndarray:
        """The pictures of those rows, uint8 [n, h, w, c]."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows that are decoded each time they are indexed, ``stream[indices]``: uint8 [n, h, w, c]."""

    dataset: Dataset
    decode: Decoder

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, indices: Tensor) -> Tensor:
        return torch.from_numpy(self.decode(self.dataset, indices.tolist()))


def blocks(rows: Tensor | Stream) -> Iterator[Tensor]:
    """All rows in order, a few hundred at a time."""
    for start in range(0, len(rows), BLOCK):
        yield rows[torch.arange(start, min(start + BLOCK, len(rows)))]


@dataclass(frozen=True)
class Levels:
    """Rows that are lists of levels already, ``shape`` = (h, w, c)."""

    shape: Shape

    def __call__(self, dataset: Dataset, indices: Sequence[int]) -> np.ndarray:
        table = dataset.with_format("arrow")[list(indices)]
        flat = table["image"].combine_chunks().flatten().to_numpy()
        return flat.reshape(-1, *self.shape).copy()  # Arrow's memory is read-only


@dataclass(frozen=True)
class ResizedLevels:
    """Lists of levels 0..levels-1, spread over 0..255 and resized to ``size`` x ``size``."""

    inner: Levels
    levels: int
    size: int

    @property
    def shape(self) -> Shape:
        return self.size, self.size, self.inner.shape[2]

    def __call__(self, dataset: Dataset, indices: Sequence[int]) -> np.ndarray:
        pictures = to_uint8(torch.from_numpy(self.inner(dataset, indices)), self.levels).numpy()
        images = (Image.fromarray(picture.squeeze(2)) for picture in pictures)
        return np.stack([_as_array(image, self.shape[2], self.size) for image in images])


@dataclass(frozen=True)
class Files:
    """Rows that are encoded image files (bytes, or a path), brought to ``shape``, resized only if asked."""

    column: str
    shape: Shape
    resize: bool

    def __call__(self, dataset: Dataset, indices: Sequence[int]) -> np.ndarray:
        files = dataset[list(indices)][self.column]
        return np.stack([self._decode(file, index) for file, index in zip(files, indices, strict=True)])

    def _decode(self, file: Any, index: int) -> np.ndarray:
        with _opened(file, index) as image:
            picture = _as_array(ImageOps.exif_transpose(image), self.shape[2], self.shape[0] if self.resize else None)
            if picture.shape != self.shape:
                raise ValueError(f"decoded to the shape {picture.shape}")
            return picture


def make_decoder(name: str, rows: Rows, size: int | None, shape: Sequence[int] | None) -> Decoder:
    """What decodes ``rows``; encoded files are measured first, unless their ``shape`` is known already."""
    if rows.shape is None:
        height, width, channels = shape or measure(name, rows, size)
        return Files(rows.columns[0], (height, width, channels), resize=size is not None)
    levels = Levels(rows.shape)
    return levels if size is None else ResizedLevels(levels, rows.levels, size)


class UnreadableImageError(DataError):
    """An image that does not decode."""


@contextmanager
def _opened(file: Any, index: int) -> Iterator[Image.Image]:
    """A file of a row, open; whatever goes wrong within is an :class:`UnreadableImageError` that names it."""
    path, data = _path_and_data(file)
    try:
        if path is None and data is None:
            raise ValueError("empty")
        with Image.open(io.BytesIO(data) if data is not None else str(path), formats=FORMATS) as image:
            yield image
    except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
        reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error).partition("\n")[0]
        raise UnreadableImageError(f"{_file_name(file, index)} ({reason})") from None


def _path_and_data(file: Any) -> tuple[str | None, bytes | None]:
    return (file.get("path"), file.get("bytes")) if isinstance(file, dict) else (None, file)


def _file_name(file: Any, index: int) -> str:
    """The last two parts of its path; the row's number where it has none."""
    path, _ = _path_and_data(file)
    return "/".join(Path(path).parts[-2:]) if path else f"row {index}"


def _each_file(rows: Rows) -> Iterator[tuple[int, Any]]:
    """Every encoded file of both splits, after its row number."""
    for dataset in rows.splits.values():
        for start in range(0, len(dataset), BLOCK):
            files = dataset[start : start + BLOCK][rows.columns[0]]
            yield from enumerate(files, start)


def _as_array(image: Image.Image, channels: int, size: int | None) -> np.ndarray:
    """uint8 [h, w, channels]."""
    image = as_8_bit(image, "L" if channels == 1 else "RGB")
    if size is not None:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(image.height, image.width, channels)


def measure(name: str, rows: Rows, size: int | None) -> Shape:
    """The one shape of all the pictures, from the files' headers.

    Raises:
        DataError: they are of several sizes and no ``size`` was asked for.
        UnreadableImageError: a file has no readable header.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    examples: dict[tuple[int, int], str] = {}
    channels = 1
    for index, file in _each_file(rows):
        with _opened(file, index) as image:
            extent = _upright_size(image)
            channels = max(channels, 1 if image.mode in GREY else 3)
        sizes[extent] += 1
        examples.setdefault(extent, _file_name(file, index))
    if size is None and len(sizes) > 1:
        raise DataError(f"{name} has images of mixed sizes: {_describe(sizes, examples)}; give size=N to resize them")
    width, height = next(iter(sizes)) if size is None else (size, size)
    return height, width, channels


def _upright_size(image: Image.Image) -> tuple[int, int]:
    has_tags = image.format != "PNG" or "exif" in image.info  # to look for a PNG's tags would decode it
    turned = has_tags and image.getexif().get(ORIENTATION, 1) >= 5
    return image.size[::-1] if turned else image.size


def _describe(sizes: Counter[tuple[int, int]], examples: dict[tuple[int, int], str]) -> str:
    named = [f"{w}x{h} ({n} images, as {examples[w, h]})" for (w, h), n in sizes.most_common(NUM_NAMED)]
    return ", ".join(named) + _and_more(len(sizes), "sizes")


def _and_more(count: int, what: str) -> str:
    return f" and {count - NUM_NAMED} more {what}" if count > NUM_NAMED else ""


def describe_unreadable(name: str, rows: Rows) -> str:
    """How many images do not decode, of how many, and the first of them with the reason: decodes every one."""
    failures = []
    for index, file in _each_file(rows):
        try:
            with _opened(file, index) as image:
                as_8_bit(image, "RGB")
        except UnreadableImageError as error:
            failures.append(str(error))
    total = len(rows.train) + len(rows.test)
    named = ", ".join(failures[:NUM_NAMED]) + _and_more(len(failures), "")
    return f"{name}: {len(failures)} of {total} images cannot be read: {named.rstrip()}; repair or remove them"
