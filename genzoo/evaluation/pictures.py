"""Pictures of any mode and size, brought one by one to what is wanted, every change counted.

Transparency is laid over white, 16 bits become 8, palettes and other colour spaces become RGB, camera orientation tags
are applied, of an animation the first frame counts. Grey is repeated to three channels; colour becomes grey, by its
luma unless its channels are equal. Another size is resized, with antialiasing (On Aliased Resizing and Surprising
Subtleties in GAN Evaluation, Parmar et al., 2022: without it a Fréchet distance changes), the whole picture, no crop.
Last, where the data have fewer than 256 levels, pixels are rounded to these.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.images import DEEP_GREY, FORMATS, GREY, TRANSPARENT, as_8_bit, on_levels

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
ORIENTATION = 0x0112
FILTERS: Mapping[str, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


@dataclass(frozen=True)
class Wanted:
    """What samples must be to be compared: ``shape`` (channels, height, width) or (2,), with the data's grey levels.

    None is whatever they are. ``resize`` names the filter for another size; "none" refuses one.
    """

    shape: tuple[int, ...] | None = None
    levels: int | None = None
    resize: str = "bicubic"


AS_THEY_ARE = Wanted()


@dataclass
class Darkroom:
    """Turns pictures into what is wanted and counts what it did to how many of them."""

    wanted: Wanted = AS_THEY_ARE
    changes: Counter[str] = field(default_factory=Counter)
    total: int = 0

    def develop(self, picture: Image.Image) -> np.ndarray:
        """uint8 [h, w, 1 or 3]; raises ValueError or OSError where a picture cannot be read or converted."""
        self.total += 1
        if picture.getexif().get(ORIENTATION, 1) > 1:
            picture = self._note("turned upright", ImageOps.exif_transpose(picture))
        mode = "L" if picture.mode in GREY else "RGB"
        if picture.mode in TRANSPARENT or "transparency" in picture.info:
            self.changes["laid over white"] += 1
        elif picture.mode not in ("1", "L", "RGB"):
            self.changes["from 16 to 8 bits" if picture.mode in DEEP_GREY else f"from {picture.mode} to RGB"] += 1
        return self.fit(as_8_bit(picture, mode))

    def fit(self, picture: Image.Image) -> np.ndarray:
        """A picture of mode L or RGB with the channels, the size and the levels that are wanted, uint8 [h, w, c]."""
        if self.wanted.shape is not None:
            channels, height, width = self.wanted.shape
            picture = self._resized(self._channelled(picture, channels), (width, height))
        pixels = self._rounded(np.asarray(picture))
        return pixels[..., None] if pixels.ndim == 2 else pixels

    def _rounded(self, pixels: np.ndarray) -> np.ndarray:
        rounded = pixels if self.wanted.levels is None else on_levels(pixels, self.wanted.levels)
        if not np.array_equal(rounded, pixels):
            self.changes[f"rounded to {self.wanted.levels} levels"] += 1
        return rounded

    def _note(self, change: str, picture: Image.Image) -> Image.Image:
        self.changes[change] += 1
        return picture

    def _channelled(self, picture: Image.Image, channels: int) -> Image.Image:
        if channels == 3 and picture.mode == "L":
            return self._note("from grey to three equal channels", picture.convert("RGB"))
        if channels == 1 and picture.mode == "RGB":
            red, green, blue = picture.split()
            if red.tobytes() == green.tobytes() == blue.tobytes():
                return self._note("from three equal channels to grey", red)
            return self._note("from colour to grey (luma, ITU-R 601-2)", picture.convert("L"))
        return picture

    def _resized(self, picture: Image.Image, size: tuple[int, int]) -> Image.Image:
        if picture.size == size:
            return picture
        found, needed = (f"{width}x{height}" for width, height in (picture.size, size))
        if self.wanted.resize == "none":
            raise ValueError(f"it is {found}, not {needed}")
        change = f"resized to {needed} ({self.wanted.resize}, antialiased)"
        return self._note(change, picture.resize(size, FILTERS[self.wanted.resize]))

    def told(self) -> tuple[str, ...]:
        """What was done, such as ``3 of 10 images: laid over white``."""
        return tuple(f"{count:,} of {self.total:,} images {change}" for change, count in self.changes.most_common())


def read_folder(folder: Path, wanted: Wanted) -> tuple[Tensor, tuple[str, ...]]:
    """All pictures in a folder and its subfolders, by name: uint8 [n, h, w, c], and what was done to them.

    Raises:
        InvalidSamples: none there, some cannot be read, or of several sizes where no size is wanted.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise InvalidSamples(f"{folder} holds no images (looked for {', '.join(SUFFIXES)})")
    darkroom = Darkroom(wanted)
    images = list(_developed(folder, paths, darkroom))
    if wanted.shape is None and {image.shape[2] for image in images} == {1, 3}:
        images = [image if image.shape[2] == 3 else image.repeat(3, axis=2) for image in images]
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        found = ", ".join(f"{count} of {h}x{w}x{c}" for (h, w, c), count in shapes.most_common(3))
        raise InvalidSamples(
            f"images in {folder} differ ({found}): what samples are measured against must have one size"
        )
    return torch.from_numpy(np.stack(images)), darkroom.told()


def _developed(folder: Path, paths: list[Path], darkroom: Darkroom) -> Iterator[np.ndarray]:
    unreadable = []
    for path in paths:
        try:
            with Image.open(path, formats=FORMATS) as picture:
                yield darkroom.develop(picture)
        except Exception as error:  # Pillow's readers raise whatever a broken file leads them to
            reason = "not an image" if isinstance(error, Image.UnidentifiedImageError) else first_line(error)
            unreadable.append(f"{path.relative_to(folder)}: {reason}")
    if unreadable:
        raise InvalidSamples(
            f"{len(unreadable)} of {len(paths)} images in {folder} cannot be used, first {unreadable[0]}"
        )


def first_line(error: Exception) -> str:
    """The first line of a foreign error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
