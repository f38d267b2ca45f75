"""From a model, or a set of samples, to a record: draw, store, measure, describe."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from genzoo import evaluation as ev
from genzoo.config import SampleConfig, TrainConfig, sample_id, slug
from genzoo.data import Data
from genzoo.errors import GenZooError, InvalidSamples, SamplingFailed
from genzoo.evaluation.extractors import Extractor
from genzoo.evaluation.record import (
    PROTOCOL,
    Content,
    DataPart,
    ExtractorPart,
    Likelihood,
    ModelPart,
    SamplingPart,
    TrainingPart,
)  # fmt: skip
from genzoo.files import write_atomically
from genzoo.images import grid, is_image, quantise
from genzoo.jobs import prepare_sampler
from genzoo.provenance import code, environment, version
from genzoo.sampling import Samples
from genzoo.scatter import scatter
from genzoo.zoo import Zoo

NUM_POINTS, MAX_IMAGES, LIKELIHOOD_IMAGES = 10_000, 10_000, 256
Reference = Literal["floor", "ceiling"]
_features: ev.Cache = {}


def finish(x: Tensor, data: Data) -> Tensor:
    """Model output as what is stored and measured: uint8 pictures of the data's own levels, or points as they are."""
    return quantise(x, data.levels) if is_image(data.shape) and data.levels else x


def protocol_samples(data: Data) -> int:
    """How many samples the protocol asks for: 10,000 points, or as many images as there are to test, up to 10,000."""
    return min(MAX_IMAGES, len(data.test)) if is_image(data.shape) else NUM_POINTS


def resolve(zoo: Zoo, model: Any, model_name: str, data: Data, config: SampleConfig) -> SampleConfig:
    """``config`` with every default filled in; raises where the sampler does not go with the model."""
    name = config.sampler or model.sampler
    prepare_sampler(zoo, model, model_name, name, config.options)
    filled = {
        "sampler": name,
        "options": zoo.validate("sampler", name, config.options),
        "num_samples": config.num_samples or protocol_samples(data),
        "extractor": extractor_name(data, config.extractor),
    }
    return config.model_copy(update=filled)


def extractor_name(data: Data, asked: str | None) -> str | None:
    """The extractor that measures this data; None for points."""
    return (asked or ev.default_extractor(data.shape)) if is_image(data.shape) else None


def folder_of(zoo: Zoo, run: Path, run_id: str, config: SampleConfig) -> Path:
    """Where the sample set of a resolved ``config`` is kept, below the folder of its run."""
    plugin = zoo.owner("sampler", str(config.sampler))
    return run / "samples" / sample_id(config, run_id, PROTOCOL, {plugin.name: plugin.version})


def measure(samples: Samples, finished: Tensor, data: Data, extractor: Extractor | None) -> dict[str, ev.Metric]:
    """The metrics of one sample set; raises :class:`SamplingFailed` where some are not finite."""
    if samples.num_not_finite:
        raise SamplingFailed(
            f"{samples.num_not_finite} of {len(samples.x)} samples are not finite: nothing is measured"
        )
    if extractor is not None:
        return _image_metrics(finished, data, extractor)
    return ev.evaluate_points(finished, data.density) if data.density else {}


def _image_metrics(images: Tensor, data: Data, extractor: Extractor | None) -> dict[str, ev.Metric]:
    rows = ev.train_subset(len(data.test), len(images), seed=0)  # no more are read than are compared
    labels = data.test.labels
    strata = None if labels is None else labels[rows]  # test splits are balanced class by class, ours and the usual
    return ev.evaluate_images(images, data.test.images(rows), extractor=extractor, cache=_features, strata=strata)


def held_out(data: Data) -> Tensor:
    """The test examples that likelihoods are taken of: 256 fixed images, or all points."""
    rows = ev.train_subset(len(data.test), LIKELIHOOD_IMAGES if is_image(data.shape) else len(data.test), seed=0)
    return data.test.batch(rows).x


def load_extractor(name: str | None, weights: Path | None = None) -> Extractor | None:
    """The extractor of that name, None for points."""
    return ev.load_extractor(name, weights=weights) if name else None


def store_samples(folder: Path, samples: Tensor) -> str:
    """Write ``samples.npz`` (``arr_0``) and ``samples.png``; returns the sha256 of the samples."""
    write_atomically(folder / "samples.npz", npz(samples))
    write_atomically(folder / "samples.png", png(samples))
    return ev.content_hash(samples)


def npz(samples: Tensor) -> bytes:
    """The layout that other evaluators read: ``arr_0``, uint8 [n, h, w, c] (or float32 [n, 2])."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, arr_0=samples.numpy())
    return buffer.getvalue()


def png(samples: Tensor) -> bytes:
    """A grid of the first 64 images, or all points as a scatter plot."""
    buffer = io.BytesIO()
    picture = grid(samples[:64], scale=max(1, 32 // samples.shape[2])) if samples.dim() == 4 else scatter(samples)
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def save_samples(samples: Tensor, path: Path) -> None:
    """Write samples as a picture (``.png``) or as numbers (``.npz``)."""
    write_atomically(path, npz(samples) if path.suffix == ".npz" else png(samples))


def read_samples(path: Path, data: Data) -> Tensor:
    """Samples from disk of the kind that ``data`` is of: an ``.npz`` of points, or one or a folder of images."""
    return ev.read_images(path) if is_image(data.shape) else ev.read_points(path)


def score_samples(
    name: str, samples: Tensor, data: Data, *, extractor: str | None = None, weights: Path | None = None
) -> ev.Record:
    """The record of uint8 images [n, h, w, c], or points [n, 2], that no run of ours made."""
    loaded = load_extractor(extractor_name(data, extractor), weights)
    return ev.seal(
        Content(
            status="ok",
            role="model",
            code=code(),
            environment=environment("float32"),
            model=_named(name),
            data=data_part(data, len(samples)),
            extractor=extractor_part(loaded),
            metrics=_image_metrics(samples, data, loaded) if loaded else _point_metrics(samples, data),
            warnings=tuple(ev.size_warnings(len(samples))) if loaded else (),
        )
    )


def _point_metrics(points: Tensor, data: Data) -> dict[str, ev.Metric]:
    if data.density is None:
        raise InvalidSamples(f"the density of {data.name} is not known: there is nothing to measure points against")
    if not points.is_floating_point():
        raise InvalidSamples(f"{data.name} is a set of points: give float32 [n, 2], not {str(points.dtype)[6:]}")
    return ev.evaluate_points(points, data.density)


@dataclass(frozen=True)
class Subject:
    """What made the samples: a trained model, or a reference."""

    role: Literal["model", "floor", "ceiling"]
    model: ModelPart
    training: TrainingPart | None
    precision: str


def record(
    subject: Subject,
    config: SampleConfig,
    samples: Samples,
    data: Data,
    folder: Path,
    *,
    extractor: Extractor | None,
    likelihood: Likelihood | None = None,
) -> ev.Record:
    """Store and measure samples that were drawn as a resolved ``config`` says, and write the record beside them."""
    finished = finish(samples.x, data)
    metrics = measure(samples, finished, data, extractor)
    sampling = SamplingPart(
        sampler=str(config.sampler),
        options=config.options,
        n=len(samples.x),
        seed=config.seed,
        calls_per_sample=samples.calls_per_sample,
        seconds=samples.seconds,
        num_not_finite=samples.num_not_finite,
        sha256=store_samples(folder, finished),
    )
    sealed = ev.seal(
        Content(
            status="ok",
            role=subject.role,
            code=code(),
            environment=environment(subject.precision),
            model=subject.model,
            training=subject.training,
            data=data_part(data, len(samples.x)),
            sampling=sampling,
            extractor=extractor_part(extractor),
            metrics=metrics,
            likelihood=likelihood,
            warnings=tuple(ev.size_warnings(len(samples.x))) if extractor else (),
        )
    )
    ev.write_record(folder / "record.json", sealed)
    return sealed


def reference(role: Reference, data: Data, config: SampleConfig, out: Path) -> ev.Record:
    """The record of ``gaussian``, a Gaussian fitted to the training data, or of ``train-vs-test``, some of it."""
    name, n = REFERENCES[role], config.num_samples or protocol_samples(data)
    extractor = load_extractor(extractor_name(data, config.extractor))
    samples = Samples(_reference_samples(role, data, n, config.seed), None, None, 0, 0)
    subject = Subject(role, _named(name), None, "float32")
    config = config.model_copy(update={"sampler": name})
    return record(subject, config, samples, data, reference_folder(role, data, config, out), extractor=extractor)


REFERENCES: dict[Reference, str] = {"floor": "gaussian", "ceiling": "train-vs-test"}


def reference_folder(role: Reference, data: Data, config: SampleConfig, out: Path) -> Path:
    """Where a reference row of a results folder is kept."""
    name = REFERENCES[role]
    key = sample_id(config.model_copy(update={"sampler": name}), data.fingerprint, PROTOCOL, {"genzoo": version()})
    return out / f"{name}-{slug(data.name)}" / "samples" / key


def _reference_samples(role: Reference, data: Data, n: int, seed: int) -> Tensor:
    chosen = ev.train_subset(len(data.train), n if role == "ceiling" else MAX_IMAGES, seed)
    x = data.train.batch(chosen).x
    return x if role == "ceiling" else ev.gaussian(x, n, seed)


def failed(run: TrainConfig, config: SampleConfig, data: Data, error: Exception) -> ev.Record:
    """The record of a run that could not be finished: a row with its reason."""
    reason = str(error) if isinstance(error, GenZooError) else f"{type(error).__name__}: {error}"
    nothing = SamplingPart(
        sampler=str(config.sampler),
        options=config.options,
        n=0,
        seed=config.seed,
        calls_per_sample=None,
        seconds=None,
        num_not_finite=0,
        sha256=None,
    )
    return ev.seal(
        Content(
            status="failed",
            reason=" ".join(reason.split()),
            role="model",
            code=code(),
            environment=environment("float32"),
            model=_named(run.model, run.model_options, run.seed),
            data=data_part(data),
            sampling=nothing,
        )
    )


def _named(name: str, options: Mapping[str, Any] | None = None, seed: int | None = None) -> ModelPart:
    return ModelPart(
        name=name,
        plugin=None,
        plugin_version=None,
        options=dict(options or {}),
        parameters=None,
        checkpoint=None,
        seed=seed,
    )


def data_part(data: Data, num_samples: int | None = None) -> DataPart:
    """Which examples stand on the real side: as many as there are samples, where there are that many."""
    return DataPart(
        name=data.name,
        fingerprint=data.fingerprint,
        split="test",
        n=min(num_samples or protocol_samples(data), len(data.test)),
        shape=data.shape,
        levels=data.levels,
    )


def extractor_part(extractor: Extractor | None) -> ExtractorPart | None:
    """The extractor as the record names it."""
    if extractor is None:
        return None
    return ExtractorPart(
        name=extractor.name, hash=extractor.sha256, literature_comparable=extractor.literature_comparable
    )
