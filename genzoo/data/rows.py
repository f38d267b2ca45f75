"""The rows of a data set as they came: which columns matter, class indices, and a test split where there is none.

Imports no torch, so that a wrong request costs little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, Image, Value

from genzoo.errors import DataError

TEST_NAMES = ("test", "validation", "valid", "val")
LABEL_NAMES = ("label", "labels")
TEST_SHARE = 5


@dataclass(frozen=True, eq=False)
class Classes:
    """Class indices 0..num-1 of each split's rows, int64."""

    indices: tuple[np.ndarray, ...]
    num: int


@dataclass(frozen=True, eq=False)
class Rows:
    """Train and test rows, and what is known of them before a pixel is decoded.

    ``columns`` is one column of images (encoded files, or ``shape`` = (h, w, c) levels as a list of uint8), or two
    columns of coordinates. ``content`` is the sha256 of the files that the rows were read from.
    """

    train: Dataset
    test: Dataset
    columns: tuple[str, ...] = ("image",)
    classes: Classes | None = None
    shape: tuple[int, int, int] | None = None
    levels: int = 256
    content: str = ""

    @property
    def splits(self) -> dict[str, Dataset]:
        """Both splits by name."""
        return {"train": self.train, "test": self.test}


def find_rows(name: str, splits: Mapping[str, Dataset], content: str) -> Rows:
    """The images or points, the labels and the two splits of a data set that is not built in.

    The test split is the one called test, validation, valid or val; if there is none, a fifth of the rows, drawn class
    by class with a fixed seed. Labels are a column called label or labels, else the first that is declared as classes;
    if some row has none, nobody has.

    Raises:
        DataError: no usable column, no training split, or too few rows.
    """
    train, test = _find_splits(name, splits)
    if test is None:
        train, test = hold_out(name, train)
    if not (len(train) and len(test)):
        raise DataError(f"{name} has {len(train)} rows to train on and {len(test)} to test on: both need at least one")
    columns, classes = _find_columns(name, train.features), find_classes(train, test)
    train, test = (_only(columns, split) for split in (train, test))
    return Rows(train, test, columns, classes, content=content)


def _only(columns: tuple[str, ...], split: Dataset) -> Dataset:
    """Those columns (and the labels), image files left encoded: it is :mod:`genzoo.data.pixels` that decodes them."""
    label = _find_label(split.features)
    kept = split.select_columns([*columns, *([label] if label else [])])
    encoded = [column for column in columns if isinstance(kept.features[column], Image)]
    return kept.cast_column(encoded[0], Image(decode=False)) if encoded else kept


def _find_splits(name: str, splits: Mapping[str, Dataset]) -> tuple[Dataset, Dataset | None]:
    if len(splits) == 1:
        return next(iter(splits.values())), None
    if "train" not in splits:
        raise DataError(f"{name} has the splits {', '.join(splits) or '(none)'}: one must be called train")
    return splits["train"], next((splits[test] for test in TEST_NAMES if test in splits), None)


def _find_columns(name: str, features: Features) -> tuple[str, ...]:
    images = [column for column, feature in features.items() if _holds_images(feature)]
    numbers = [column for column, feature in features.items() if _is_number(feature) and column not in LABEL_NAMES]
    if images:
        return (images[0],)
    if len(numbers) == 2:
        return tuple(numbers)
    raise DataError(
        f"{name} has the columns {', '.join(features)}: it needs one of images (files as bytes), or two of numbers"
    )


def _holds_images(feature: object) -> bool:
    encoded = isinstance(feature, dict) and "bytes" in feature
    return encoded or isinstance(feature, Image) or (isinstance(feature, Value) and "binary" in feature.dtype)


def _is_number(feature: object) -> bool:
    return isinstance(feature, Value) and feature.dtype.startswith(("float", "double", "int", "uint"))


def _find_label(features: Features) -> str | None:
    named = [column for column in LABEL_NAMES if column in features]
    declared = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    return next(iter(named + declared), None)


def find_classes(*splits: Dataset) -> Classes | None:
    """Class indices; None when there is no label column, or a row has no label (null, or negative)."""
    column = _find_label(splits[0].features)
    if column is None or any(column not in split.features for split in splits):
        return None
    values = [read_column(split, column) for split in splits]
    if any(value.null_count or not _is_discrete(value.type) for value in values):
        return None
    feature = splits[0].features[column]
    arrays = tuple(value.to_numpy(zero_copy_only=False) for value in values)
    found, indices = np.unique(np.concatenate(arrays), return_inverse=True)
    if np.issubdtype(found.dtype, np.integer) and len(found) and found[0] < 0:
        return None
    if isinstance(feature, ClassLabel):
        return Classes(tuple(array.astype(np.int64) for array in arrays), feature.num_classes)
    ends = np.cumsum([len(array) for array in arrays])[:-1]
    return Classes(tuple(np.split(indices.astype(np.int64), ends)), len(found))


def _is_discrete(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def read_column(dataset: Dataset, column: str) -> pa.Array:
    """One column as one Arrow array."""
    return dataset.select_columns([column]).with_format("arrow")[:].column(0).combine_chunks()


def first_line(error: BaseException) -> str:
    """The first line of a foreign error's message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def hold_out(name: str, dataset: Dataset) -> tuple[Dataset, Dataset]:
    """Train and test rows: a fifth of each class (of all, where there are no labels), by a fixed seed."""
    n = len(dataset)
    if n < 2:
        raise DataError(
            f"{name} has {n} row{'s' * (n != 1)}: it takes at least two, one to train on and one to test on"
        )
    classes = find_classes(dataset)
    test = _draw(np.zeros(n, dtype=np.int64) if classes is None else classes.indices[0])
    return dataset.select(np.flatnonzero(~test)), dataset.select(np.flatnonzero(test))


def _draw(strata: np.ndarray) -> np.ndarray:
    """Whether each row is held out: rounded shares of each stratum, and one row at the least."""
    random = np.random.RandomState(0)  # its streams are frozen across numpy's versions
    test = np.zeros(len(strata), dtype=bool)
    for stratum in np.unique(strata):
        members = random.permutation(np.flatnonzero(strata == stratum))
        test[members[: round(len(members) / TEST_SHARE)]] = True
    if not test.any():
        test[random.randint(len(test))] = True
    return test
