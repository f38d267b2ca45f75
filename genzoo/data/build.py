"""From rows to :class:`~genzoo.data.core.Data`: pictures decoded once and kept, or streamed; points at unit scale."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from torch import Generator, Tensor

from genzoo.data import cache
from genzoo.data.core import Data, fingerprint, make_splits
from genzoo.data.pixels import Stream, UnreadableImageError, blocks, describe_unreadable, make_decoder
from genzoo.data.points import density
from genzoo.data.rows import Rows, read_column
from genzoo.errors import DataError, InvalidOption

FORMAT = 1
NUM_POINTS = {"train": 50_000, "test": 10_000}
SEEDS = {"train": 0, "test": 1}

Parts = Mapping[str, Tensor] | Mapping[str, Stream]


def image_data(name: str, rows: Rows, size: int | None, memory_limit: int) -> Data:
    """Pictures of ``rows``, ``size`` x ``size`` if given; streamed if they take more than ``memory_limit`` bytes.

    Raises:
        DataError: images of mixed sizes, or some that cannot be read.
    """
    if rows.shape is not None and rows.shape[:2] == (size, size):
        size = None
    levels = rows.levels if size is None else 256
    preprocessing = "none" if size is None else f"centre crop, resized to {size}x{size} (Lanczos)"
    try:
        (height, width, channels), parts, mark = _decode(name, rows, size, memory_limit, levels, preprocessing)
    except UnreadableImageError:
        raise DataError(describe_unreadable(name, rows)) from None
    train, test = make_splits(rows.splits, parts, rows.classes, levels)
    num_classes = rows.classes.num if rows.classes else None
    return Data(name, train, test, (channels, height, width), levels, num_classes, mark, preprocessing)


def _decode(
    name: str, rows: Rows, size: int | None, memory_limit: int, levels: int, preprocessing: str
) -> tuple[tuple[int, int, int], Parts, str]:
    """Shape (h, w, c), train and test pictures, fingerprint."""
    entry = cache.digest_json({"rows": rows.content, "size": size, "format": FORMAT})
    known = cache.read_facts(entry) or {}
    decoder = make_decoder(name, rows, size, known.get("shape"))
    streams = {split: Stream(dataset, decoder) for split, dataset in rows.splits.items()}
    facts = {"shape": decoder.shape, "levels": levels, "preprocessing": preprocessing}

    def identify(parts: Parts) -> str:
        return fingerprint(facts, parts, rows.classes)

    fits = _num_bytes(streams) <= memory_limit
    if fits and rows.shape is not None and size is None:  # lists of levels are read faster than found in the cache
        tensors = _in_memory(streams)
        return decoder.shape, tensors, identify(tensors)
    parts: Parts = streams
    if not fits:
        mark = known.get("fingerprint") or identify(streams)
    else:
        parts, mark = _cached(entry, known.get("fingerprint"), streams, identify)
    if mark != known.get("fingerprint"):
        cache.write_facts(entry, {"shape": decoder.shape, "fingerprint": mark})
    return decoder.shape, parts, mark


def _num_bytes(streams: Mapping[str, Stream]) -> int:
    return sum(len(stream) * math.prod(stream.decode.shape) for stream in streams.values())


def _in_memory(streams: Mapping[str, Stream]) -> dict[str, Tensor]:
    return {split: torch.cat(list(blocks(stream))) for split, stream in streams.items()}


def _cached(
    entry: str, mark: str | None, streams: Mapping[str, Stream], identify: Callable[[Parts], str]
) -> tuple[dict[str, Tensor], str]:
    """The pictures in memory and their fingerprint; the cache's, if they still have the fingerprint ``mark``."""
    stored = cache.read_arrays(entry) or {}
    if mark is not None and stored.keys() == streams.keys():
        parts = {split: torch.from_numpy(stored[split]) for split in streams}
        if identify(parts) == mark:
            return parts, mark
    parts = _in_memory(streams)
    cache.write_arrays(entry, {split: pictures.numpy() for split, pictures in parts.items()})
    return parts, identify(parts)


def point_data(name: str, rows: Rows, size: int | None) -> Data:
    """Points of two columns, brought to unit scale by the training rows' mean and one standard deviation.

    Raises:
        DataError: coordinates that are not finite, or all the same.
    """
    _refuse_size(name, size)
    raw = {split: _coordinates(name, split, dataset, rows.columns) for split, dataset in rows.splits.items()}
    shift, scale = raw["train"].mean(0), raw["train"].var(0, correction=0).mean().sqrt().item()
    if scale == 0:
        raise DataError(f"{name}: all {len(raw['train'])} training points are the same")
    points = {split: ((x - shift) / scale).float() for split, x in raw.items()}
    train, test = make_splits(rows.splits, points, rows.classes, None)
    return Data(
        name, train, test, (2,), None, rows.classes.num if rows.classes else None,
        fingerprint({"shape": (2,), "preprocessing": "unit scale"}, raw, rows.classes), "unit scale",
        shift=(shift[0].item(), shift[1].item()), scale=scale,
    )  # fmt: skip


def _coordinates(name: str, split: str, dataset: Dataset, columns: tuple[str, ...]) -> Tensor:
    arrays = [read_column(dataset, column).to_numpy(zero_copy_only=False).astype(np.float64) for column in columns]
    points = torch.from_numpy(np.stack(arrays, 1))
    if bad := int((~points.isfinite()).any(1).sum()):
        raise DataError(f"{name}: {bad} of {len(points)} points of the {split} split are NaN or infinite; remove them")
    return points


def built_in_points(name: str, size: int | None) -> Data:
    """50,000 + 10,000 seeded draws of a density (a key of :data:`genzoo.data.points.LAWS`).

    The fingerprint is of the definition, because the last bit of a normal draw differs between processors.
    """
    _refuse_size(name, size)
    law = density(name)
    points = {split: law.sample(n, Generator().manual_seed(SEEDS[split])) for split, n in NUM_POINTS.items()}
    datasets = {split: Dataset(_point_table(x)) for split, x in points.items()}
    train, test = make_splits(datasets, points, None, None)
    mark = cache.digest_json({"points": law.recipe(), "draws": NUM_POINTS, "seeds": SEEDS})
    return Data(name, train, test, (2,), None, None, mark, "unit scale", law, law.shift, law.scale)


def _point_table(points: Tensor) -> pa.Table:
    return pa.table({"point": pa.FixedSizeListArray.from_arrays(pa.array(points.flatten().numpy()), 2)})


def _refuse_size(name: str, size: int | None) -> None:
    if size is not None:
        raise InvalidOption(f"size={size}: {name} is points in the plane, which have no size; leave it out")
