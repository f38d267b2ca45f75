"""Samples from disk: images as ``.npz`` in the layout that other evaluators read too, or a folder; points."""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.errors import InvalidSamples

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}


def read_images(path: Path) -> Tensor:
    """uint8 [n, h, w, c] of an ``.npz`` whose ``arr_0`` is that, or of all pictures in a folder, by name.

    Raises:
        InvalidSamples: nothing there, unreadable, not uint8, mixed sizes, or channels other than grey and RGB.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.suffix != ".npz":
        raise InvalidSamples(f"{path} is neither an .npz file nor a folder of images")
    return _read_npz(path)


def read_points(path: Path) -> Tensor:
    """float [n, 2] of an ``.npz`` whose ``arr_0`` is that.

    Raises:
        InvalidSamples: nothing there, unreadable, or of another shape or type.
    """
    if path.suffix != ".npz":
        raise InvalidSamples(f"{path} is no .npz file: points are read from arr_0, float32 [n, 2]")
    array = _load(path, "float32 [n, 2]")
    if array.dtype not in (np.float32, np.float64) or array.ndim != 2 or array.shape[1] != 2:
        raise InvalidSamples(f"{path}: arr_0 is {array.dtype} {list(array.shape)}; points are float32 [n, 2]")
    return torch.from_numpy(array)


def _read_npz(path: Path) -> Tensor:
    array = _load(path, "uint8 [n, height, width, channels]")
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
        raise InvalidSamples(
            f"{path}: arr_0 is {array.dtype} {list(array.shape)}; it must be uint8 [n, height, width, 1 or 3]"
        )
    return torch.from_numpy(array)


def _load(path: Path, wanted: str) -> np.ndarray:
    """``arr_0``, whatever it holds; nothing pickled is loaded."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if "arr_0" not in file.files:
                found = ", ".join(file.files) or "nothing"
                raise InvalidSamples(f"{path} holds {found}; it must hold arr_0, {wanted}")
            return file["arr_0"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InvalidSamples(f"{path} cannot be read as .npz ({str(error).splitlines()[0]})") from error


def _read_folder(folder: Path) -> Tensor:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InvalidSamples(f"{folder} holds no images (looked for {', '.join(SUFFIXES)})")
    images, unreadable = [], []
    for path in paths:
        try:
            images.append(_read_picture(path))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            unreadable.append(f"{path.name}: {str(error).splitlines()[0]}")
    if unreadable:
        num_bad = len(unreadable)
        raise InvalidSamples(f"{num_bad} of {len(paths)} images in {folder} cannot be used, first {unreadable[0]}")
    shapes = Counter(image.shape for image in images)
    if len(shapes) > 1:
        found = ", ".join(f"{count} of {h}x{w}x{c}" for (h, w, c), count in shapes.most_common(3))
        raise InvalidSamples(f"images in {folder} differ ({found}): they must share one size and number of channels")
    return torch.from_numpy(np.stack(images))


def _read_picture(path: Path) -> np.ndarray:
    """uint8 [h, w, 1 or 3]; anything that would lose something on the way there (alpha, 16 bits) is refused."""
    with Image.open(path) as picture:
        if picture.mode not in MODES:
            raise ValueError(f"its mode is {picture.mode}, not 8-bit grey or RGB")
        pixels = np.asarray(picture.convert(MODES[picture.mode]))
    return pixels[..., None] if pixels.ndim == 2 else pixels
