"""Samples as they come: an array or a tensor, an ``.npz`` file, a folder of pictures; and published moments."""

import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.features import check_images, content_hash
from genzoo.evaluation.moments import Moments
from genzoo.evaluation.pictures import AS_THEY_ARE, Darkroom, Wanted, first_line, read_folder

IMAGES, POINTS = "uint8 [n, height, width, 1 or 3]", "float32 [n, 2]"


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Images, uint8 [n, h, w, c], or points, float [n, 2]; ``preparation`` says what was done to make them so.

    ``labels`` [n] are the classes that were asked for, or that they are of; None where nobody says.
    """

    name: str
    x: Tensor
    preparation: tuple[str, ...] = ()
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def sha256(self) -> str:
        """Of the content."""
        return content_hash(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width), or (2,)."""
        return check_images(self.x) if self.x.dim() == 4 else tuple(self.x.shape[1:])

    def at(self, rows: Tensor) -> "SampleSet":
        """Those at ``rows``, with their labels."""
        return replace(self, x=self.x[rows], labels=None if self.labels is None else self.labels[rows])

    def images(self, indices: Tensor) -> Tensor:
        """Those at ``indices``, uint8 [n, h, w, c]."""
        return self.x[indices]


def from_array(name: str, array: Tensor | np.ndarray, wanted: Wanted = AS_THEY_ARE) -> SampleSet:
    """uint8 images [n, h, w, c], resized if they must be, or points [n, 2].

    Raises:
        InvalidSamples: another type or shape, other channels than are wanted, levels that are not spread over 0..255.
    """
    x = array.detach().cpu() if isinstance(array, Tensor) else _as_tensor(name, array)
    if wanted.shape is not None and len(wanted.shape) == 1:
        return SampleSet(name, _checked_points(name, x))
    _check_pixels(name, x, wanted)
    return as_pictures(name, x, wanted)


def _as_tensor(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise InvalidSamples(f"{name} is an array of {array.dtype}; images are {IMAGES}, points {POINTS}")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.ascontiguousarray(native))


def _described(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} {list(x.shape)}"


def _checked_points(name: str, x: Tensor) -> Tensor:
    if not x.is_floating_point() or x.dim() != 2 or x.shape[1] != 2:
        raise InvalidSamples(f"{name} is {_described(x)}; the data is a set of points: give {POINTS}")
    return x


def _check_pixels(name: str, x: Tensor, wanted: Wanted) -> None:
    if x.dim() == 4 and x.dtype is not torch.uint8:
        raise InvalidSamples(f"{name} is {_described(x)}, not uint8: quantise it first (0..255, half rounds up)")
    if x.dim() != 4 or x.shape[3] not in (1, 3) or 0 in x.shape:
        raise InvalidSamples(f"{name} is {_described(x)}; it must be {IMAGES}")
    channels = None if wanted.shape is None else wanted.shape[0]
    if channels not in (None, x.shape[3]):
        raise InvalidSamples(
            f"{name} has {x.shape[3]} channel{'s' * (x.shape[3] > 1)} and the data {channels}: give as many, or a "
            "folder of pictures, which are converted"
        )
    levels = wanted.levels or 256
    unspread = 1 if levels == 256 else levels - 1
    if (largest := int(x.max())) <= unspread:
        raise InvalidSamples(f"{name} has no pixel above {largest}: spread them over 0..255 before they become uint8")


def as_pictures(name: str, x: Tensor, wanted: Wanted) -> SampleSet:
    """uint8 images [n, h, w, 1 or 3] with the channels, the size and the levels that are wanted.

    Raises:
        InvalidSamples: another size, and no resizing wanted.
    """
    if wanted.levels in (None, 256) and wanted.shape in (None, check_images(x)):
        return SampleSet(name, x)
    darkroom = Darkroom(wanted, total=len(x))
    try:
        images = [darkroom.fit(Image.fromarray(image.squeeze(2) if x.shape[3] == 1 else image)) for image in x.numpy()]
    except ValueError as error:
        raise InvalidSamples(f"{name} cannot be compared: {error}; --resize bicubic resizes") from error
    return SampleSet(name, torch.from_numpy(np.stack(images)), darkroom.told())


def read_images(path: Path, wanted: Wanted = AS_THEY_ARE) -> SampleSet:
    """The images of an ``.npz``, its ``arr_0`` (and ``arr_1`` their labels), or all pictures in a folder, by name.

    Raises:
        InvalidSamples: nothing there, unreadable, or what :func:`from_array` and :func:`read_folder` refuse.
    """
    if path.is_dir():
        return SampleSet(path.absolute().name, *read_folder(path, wanted))
    if path.suffix != ".npz":
        raise InvalidSamples(f"{path} is neither an .npz file nor a folder of images")
    arrays = _load(path, IMAGES, "arr_0", optional="arr_1")
    images = from_array(str(path), arrays["arr_0"], wanted)
    return replace(images, name=path.name, labels=_labels(path, arrays.get("arr_1"), len(images)))


def _labels(path: Path, array: np.ndarray | None, n: int) -> Tensor | None:
    """``arr_1`` as class indices; raises :class:`InvalidSamples` where it is something else."""
    if array is None:
        return None
    if array.shape != (n,) or array.dtype.kind not in "ui":
        found = f"{array.dtype} {list(array.shape)}"
        raise InvalidSamples(f"{path}: arr_1 is {found}; it must be the labels of {n} images, whole numbers [{n}]")
    return torch.from_numpy(array.astype(np.int64))


def read_points(path: Path) -> SampleSet:
    """The points of an ``.npz`` whose ``arr_0`` they are, float [n, 2].

    Raises:
        InvalidSamples: nothing there, unreadable, or of another shape or type.
    """
    if path.suffix != ".npz":
        raise InvalidSamples(f"{path} is no .npz file: points are read from arr_0, {POINTS}")
    return SampleSet(
        path.name, _checked_points(str(path), _as_tensor(str(path), _load(path, POINTS, "arr_0")["arr_0"]))
    )


def holds_moments(path: Path) -> bool:
    """Whether ``path`` is an ``.npz`` with ``mu`` and ``sigma``; nothing but the names in it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"mu.npy", "sigma.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_moments(path: Path) -> Moments:
    """Published reference statistics: an ``.npz`` with ``mu`` [d] and ``sigma`` [d, d].

    Raises:
        InvalidSamples: unreadable, or what :meth:`Moments.checked` refuses.
    """
    arrays = _load(path, "[d] and sigma, [d, d]", "mu", "sigma")
    try:
        return Moments.checked(*(_as_tensor("it", arrays[name]) for name in ("mu", "sigma")))
    except InvalidSamples as error:
        raise InvalidSamples(f"{path}: {error}") from error


def _load(path: Path, wanted: str, *names: str, optional: str = "") -> dict[str, np.ndarray]:
    """The arrays called so, whatever they hold, and the ``optional`` one if it is there; nothing pickled is loaded."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [name for name in names if name not in file.files]:
                found = ", ".join(file.files) or "nothing"
                raise InvalidSamples(f"{path} holds {found}; it must hold {missing[0]}, {wanted}")
            return {name: file[name] for name in (*names, optional) if name in file.files}
    except InvalidSamples:
        raise
    except Exception as error:  # what a damaged file leads numpy, zipfile and zlib to
        reason = "it holds no plain arrays" if "pickle" in str(error) else first_line(error)
        raise InvalidSamples(f"{path} cannot be read as .npz ({reason})") from error
