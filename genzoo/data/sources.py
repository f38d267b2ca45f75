"""Where rows come from on this machine: the digits of the package, IDX files, folders of images, parquet files.

Imports no torch, so that a wrong request costs little.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features

from genzoo.data import cache
from genzoo.data.rows import TEST_NAMES, Rows, find_classes, find_rows, first_line
from genzoo.errors import DataError

DIGITS = Path(__file__).with_name("digits.parquet")
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}


def digits() -> Rows:
    """The UCI optical digits: 1,297 + 500 images of 8 x 8 with 17 levels, in the package.

    References:
        Optical Recognition of Handwritten Digits, Alpaydin and Kaynak, 1998 (CC BY 4.0)
    """
    table = pq.read_table(DIGITS)
    train, test = (Dataset(table.filter(pc.equal(table["split"], split))) for split in ("train", "test"))
    content = cache.digest_files({DIGITS.name: DIGITS})
    return Rows(train, test, classes=find_classes(train, test), shape=(8, 8, 1), levels=17, content=content)


def find_fashion_mnist() -> Path | None:
    """The folder of IDX files of this machine: ``$GENZOO_DATA/fashion-mnist``, else the Debian package's."""
    own = Path(os.environ["GENZOO_DATA"]) / "fashion-mnist" if os.environ.get("GENZOO_DATA") else None
    return next((path for path in (own, DEBIAN_FASHION_MNIST) if path and path.is_dir()), None)


def idx(path: str) -> Rows:
    """Images and labels as the four IDX files of the MNIST family, each plain or gzipped.

    References:
        Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms, Xiao et al., 2017

    Raises:
        DataError: the folder or one of its files is missing or damaged.
    """
    top = _existing(path, "fashion-mnist")
    names = [f"{split}-{part}" for split in ("train", "t10k") for part in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    files = {name: _idx_file(top, name) for name in names}
    train_images, train_labels, test_images, test_labels = (_read_idx(file) for file in files.values())
    train = _raw_dataset(train_images, train_labels, top)
    test = _raw_dataset(test_images, test_labels, top)
    (_, height, width), content = train_images.shape, cache.digest_files(files)
    if test_images.shape[1:] != (height, width):
        raise DataError(
            f"{top} has images of {train_images.shape[1:]} to train on and of {test_images.shape[1:]} to test on"
        )
    return Rows(train, test, classes=find_classes(train, test), shape=(height, width, 1), content=content)


def _idx_file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder} has no {name} or {name}.gz: an IDX folder holds the images and labels of train and t10k")


def _read_idx(path: Path) -> np.ndarray:
    """A uint8 array of an IDX file: two zeros, type 8, the number of dimensions, each as big-endian 32 bits, bytes."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"{path} is not a whole IDX file ({first_line(error)}): fetch it again") from None


def _raw_dataset(images: np.ndarray, labels: np.ndarray, folder: Path) -> Dataset:
    if images.ndim != 3 or labels.shape != images.shape[:1] or not images.size:
        raise DataError(f"{folder} has images of shape {images.shape} and labels of shape {labels.shape}: they differ")
    pixels = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), images[0].size)
    return Dataset(pa.table({"image": pixels, "label": pa.array(labels.astype(np.int64))}))


def folder(path: str) -> Rows:
    """Images in a folder: perhaps ``train/`` and ``test/``, and in each perhaps one subfolder a class.

    Raises:
        DataError: no such folder, or no images in it.
    """
    name, top = f"folder:{path}", _existing(path, "folder")
    if not top.is_dir():
        raise DataError(f"{name} is a file: it takes a folder of images")
    tops = {split: top / split for split in ("train", *TEST_NAMES) if (top / split).is_dir()}
    images = {split: _images(part) for split, part in (tops if "train" in tops else {"train": top}).items()}
    if empty := [split for split, found in images.items() if not found]:
        where = f"{name}, {empty[0]}/" if "train" in tops else name
        raise DataError(f"{where} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    classes = _class_folders(images)
    splits = {split: _image_dataset(found, classes) for split, found in images.items()}
    files = {f"{split}/{image}": file for split, found in images.items() for image, file in found.items()}
    return find_rows(name, splits, cache.digest_files(files))


def _images(top: Path) -> dict[str, Path]:
    """Image files under ``top`` by relative path, in that order; hidden ones are left out."""
    found = {path.relative_to(top): path for path in top.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES}
    visible = {name: path for name, path in found.items() if not any(part.startswith(".") for part in name.parts)}
    return {name.as_posix(): path for name, path in sorted(visible.items()) if path.is_file()}


def _class_folders(images: Mapping[str, Mapping[str, Path]]) -> list[str]:
    """The names of the first subfolders; none if some image lies beside them."""
    heads = {name.partition("/")[::2] for found in images.values() for name in found}
    return sorted({head for head, _ in heads}) if all(tail for _, tail in heads) else []


def _image_dataset(images: Mapping[str, Path], classes: list[str]) -> Dataset:
    columns: dict[str, list] = {"image": [str(path) for path in images.values()]}
    features = Features(image=datasets.Image(decode=False))
    if classes:
        columns["label"] = [name.partition("/")[0] for name in images]
        features["label"] = ClassLabel(names=classes)
    return Dataset.from_dict(columns, features=features)


def parquet(path: str) -> Rows:
    """A parquet file, or a folder of them whose paths have the word train, test, validation, valid or val.

    Raises:
        DataError: nothing there, damaged, or no column of images and no two of numbers.
    """
    name, top = f"parquet:{path}", _existing(path, "parquet")
    files = {file.relative_to(top).as_posix(): file for file in sorted(top.rglob("*.parquet"))} or {top.name: top}
    if top.is_dir() and top in files.values():
        raise DataError(f"{name} holds no .parquet files")
    content = cache.digest_files(files)
    by_split: dict[str, list[str]] = {}
    for relative, file in files.items():
        by_split.setdefault(_split_of(relative) if top.is_dir() else "train", []).append(str(file))
    arrow = str(cache.root() / "arrow" / content)
    try:
        with quiet():
            splits = {split: Dataset.from_parquet(paths, cache_dir=arrow) for split, paths in by_split.items()}
    except Exception as error:  # datasets raises whatever its reader hits, behind errors of its own
        raise DataError(f"{name} cannot be read: {first_line(error.__cause__ or error)}") from None
    return find_rows(name, splits, content)


def _split_of(relative: str) -> str:
    words = re.split(r"[^a-z]+", relative.lower())
    return next((split for split in TEST_NAMES if split in words), "train")


@contextmanager
def quiet() -> Iterator[None]:
    """Neither progress bars nor warnings from datasets, so that a failure is one line."""
    level, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


def _existing(path: str, kind: str) -> Path:
    found = Path(path).expanduser()
    if not found.exists():
        raise DataError(f"{kind}:{path} is not there: give the path of an existing folder or file")
    return found
