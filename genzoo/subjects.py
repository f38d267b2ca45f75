"""Where samples come from that no run of ours made: files, folders, tensors, splits of data sets, pipelines."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from genzoo.config import SampleConfig
from genzoo.data import Data, catalog, load
from genzoo.errors import InvalidConfig, InvalidSamples, UnknownName
from genzoo.evaluation.checks import subset
from genzoo.evaluation.parts import ModelPart, SamplingPart
from genzoo.evaluation.pictures import Wanted
from genzoo.evaluation.samples import SampleSet, as_pictures, from_array, read_images, read_points
from genzoo.images import is_image, quantise
from genzoo.pipelines import Pipeline, is_pipeline
from genzoo.records import Drawn, given, named

SPLITS = ("train", "test")
Source = str | Path | Tensor | np.ndarray
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sampled:
    """Samples with what made them, as far as anybody knows."""

    samples: SampleSet
    model: ModelPart
    sampling: SamplingPart


def split_of(text: str) -> tuple[str, str | None]:
    """``digits:test`` as a data set and its split, which is None where none is named."""
    name, _, split = text.rpartition(":")
    return (name, split) if name and split in SPLITS else (text, None)


def read(source: Source, wanted: Wanted, request: SampleConfig, num_samples: int) -> Sampled:
    """The samples of any source, brought to what is ``wanted``; ``request`` says how many, and how a pipeline draws.

    ``num_samples`` are drawn, or taken of a split, where the request does not say; of a file all are taken.

    Raises:
        InvalidSamples: they are not there, cannot be read, or cannot be measured against what is wanted.
        InvalidConfig, InvalidOption: options of a sampler that no sampler is there for, or that it does not have.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None and is_pipeline(path):
        return _drawn(path, wanted, request, request.num_samples or num_samples)
    if asked := request.drawing():
        raise InvalidConfig(f"{name_of(source)} holds samples, none are drawn: leave out {asked!r}")
    if path is None or path.exists():
        samples = _some(_given(source, wanted), request.num_samples)
    else:
        samples = _of_split(str(source), wanted, request.num_samples or num_samples)
    return Sampled(samples, named(samples.name), given(samples))


def name_of(source: Source) -> str:
    """A path or a split as it was given, or what kind of numbers it is."""
    return str(source) if isinstance(source, str | Path) else "tensor" if isinstance(source, Tensor) else "array"


def _given(source: Source, wanted: Wanted) -> SampleSet:
    if not isinstance(source, str | Path):
        return from_array(name_of(source), source, wanted)
    points = wanted.shape is not None and not is_image(wanted.shape)
    return read_points(Path(source)) if points else read_images(Path(source), wanted)


def _some(samples: SampleSet, n: int | None) -> SampleSet:
    """``n`` of them at random, if there are more."""
    if n is None or n >= len(samples):
        return samples
    return samples.at(subset(len(samples), n, seed=0))


def open_split(text: str) -> tuple[Data, str | None]:
    """A data set and the split that ``text`` names; raises :class:`InvalidSamples` where it names neither."""
    name, split = split_of(text)
    try:
        catalog.parse(name)
    except UnknownName:
        if "/" in text or ":" not in text:
            raise InvalidSamples(f"{text} is not there: give a file, a folder or a split such as digits:test") from None
        raise
    return load(name), split


def _of_split(text: str, wanted: Wanted, num_samples: int) -> SampleSet:
    data, split = open_split(text)
    if split is None:
        raise InvalidSamples(f"{text} is a data set: say which split of it, {text}:train or {text}:test")
    rows = {"train": data.train, "test": data.test}[split]
    chosen = subset(len(rows), num_samples, seed=0)
    return from_array(text, rows.images(chosen) if is_image(data.shape) else rows.points(chosen), wanted)


def _drawn(folder: Path, wanted: Wanted, request: SampleConfig, n: int) -> Sampled:
    name = folder.absolute().name
    if asked := request.model_copy(update={"options": {}}).drawing():
        raise InvalidConfig(f"{name} has a scheduler of its own: leave out {asked!r}")
    if wanted.shape is not None and not is_image(wanted.shape):
        raise InvalidSamples(f"{name} makes images, and the data is a set of points")
    pipeline = Pipeline.open(folder)
    options = pipeline.options(request.options)
    config = request.model_copy(update={"sampler": pipeline.sampler, "options": options})
    log.info("drawing %d samples with %s", n, pipeline.sampler)
    samples = pipeline.draw(n, request.seed, options)
    levels = wanted.levels if tuple(samples.x.shape[1:]) == wanted.shape else None
    finished = as_pictures(name, quantise(samples.x, levels or 256), wanted)
    return Sampled(finished, pipeline.part(), Drawn(config, samples, finished.x).part(finished.sha256))
