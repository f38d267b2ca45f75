"""What a data set is once it is loaded: two splits of rows, and what is known of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from datasets import Dataset
from torch import Tensor

from genzoo.data.pixels import Stream, blocks
from genzoo.data.points import PointDensity
from genzoo.data.rows import Classes
from genzoo.errors import DataError
from genzoo.images import to_uint8, to_unit
from genzoo.protocols import Batch


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of one split: pictures as levels 0..levels-1, uint8 [n, h, w, c], or points, float32 [n, 2].

    ``rows`` is a tensor in memory, or a :class:`~genzoo.data.pixels.Stream` that decodes from ``dataset`` (Arrow) when
    it is indexed. ``labels`` are class indices, int64 [n], or None.
    """

    dataset: Dataset
    rows: Tensor | Stream
    labels: Tensor | None
    levels: int | None

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: Tensor) -> Batch:
        """The examples at ``indices`` (int64 [n]): x float32, images [n, c, h, w] in [-1, 1] or points [n, 2]."""
        rows = self.rows[indices]
        x = rows if self.levels is None else to_unit(rows, self.levels)
        return Batch(x, None if self.labels is None else self.labels[indices])

    def x(self) -> Tensor:
        """All examples, as in :meth:`batch`: four bytes a pixel, so for small data only."""
        return self.batch(torch.arange(len(self))).x

    def images(self, indices: Tensor | None = None) -> Tensor:
        """The pictures at ``indices`` (all of them by default), uint8 [n, h, w, c] spread over 0..255."""
        if self.levels is None:
            raise DataError("points are not pictures: this takes a data set of images")
        rows = self.rows[torch.arange(len(self)) if indices is None else indices]
        return to_uint8(rows, self.levels)

    def points(self, indices: Tensor | None = None) -> Tensor:
        """The points at ``indices`` (all of them by default), float32 [n, 2] at unit scale."""
        if self.levels is not None:
            raise DataError("pictures are not points: this takes a data set of points")
        return self.batch(torch.arange(len(self)) if indices is None else indices).x


@dataclass(frozen=True, eq=False)
class Data:
    """A data set.

    ``shape`` is (channels, height, width) or (2,); ``levels`` the number of grey levels, None for points;
    ``num_classes`` None where there are no labels. ``fingerprint`` is a sha256 of what models see (pixels, labels,
    preprocessing), the same whenever and wherever it is read; built-in points have one of their definition instead.
    Points were raw = x * scale + shift, and ``density`` is theirs where it is known.
    """

    name: str
    train: Split
    test: Split
    shape: tuple[int, ...]
    levels: int | None
    num_classes: int | None
    fingerprint: str
    preprocessing: str = "none"
    density: PointDensity | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    def require_labels(self) -> Self:
        """This data set, if every row has a label.

        Raises:
            DataError: some or all have none.
        """
        if self.num_classes is None:
            raise DataError(
                f"{self.name} has no labels, or not for every row: a conditional model needs a label column, "
                "or one subfolder a class"
            )
        return self


def make_splits(
    datasets: Mapping[str, Dataset],
    rows: Mapping[str, Tensor] | Mapping[str, Stream],
    classes: Classes | None,
    levels: int | None,
) -> tuple[Split, Split]:
    """The train and the test split."""
    labels = [torch.from_numpy(indices) for indices in classes.indices] if classes else [None, None]
    train, test = (
        Split(datasets[split], rows[split], y, levels) for split, y in zip(("train", "test"), labels, strict=True)
    )
    return train, test


def fingerprint(facts: Mapping[str, object], parts: Mapping[str, Tensor | Stream], classes: Classes | None) -> str:
    """sha256 of the facts (as JSON), of each part's rows block by block (little-endian), and of the class indices."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, rows in parts.items():
        digest.update(f"\0{name}\0{len(rows)}\0".encode())
        for block in blocks(rows):
            digest.update(block.numpy().tobytes())
    for indices in classes.indices if classes else ():
        digest.update(indices.astype("<i8").tobytes())
    return digest.hexdigest()
