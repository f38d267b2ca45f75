"""From a model, or a set of samples, to a record: draw, store, measure, describe."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from genzoo import evaluation as ev
from genzoo import standards
from genzoo.builtin import BUILT_IN
from genzoo.config import SampleConfig, TrainConfig, sample_id, slug
from genzoo.data import Data
from genzoo.drawing import Drawing, prepare_drawing
from genzoo.errors import InvalidSamples, SamplingFailed
from genzoo.evaluation.extractors import Extractor
from genzoo.evaluation.likelihood import GIVEN_LABELS, likelihoods
from genzoo.evaluation.parts import Likelihood
from genzoo.evaluation.points import kl_from
from genzoo.evaluation.record import PROTOCOL
from genzoo.files import write_atomically
from genzoo.images import grid, is_image, quantise
from genzoo.protocols import Batch
from genzoo.provenance import version
from genzoo.records import Drawn, Findings, Subject, assemble, failed, named
from genzoo.sampling import Samples
from genzoo.scatter import scatter
from genzoo.standards import MAX_IMAGES, Panel, Standard
from genzoo.subjects import Sampled
from genzoo.zoo import Zoo

__all__ = ["Drawn", "Panel", "Subject", "failed"]

Reference = Literal["floor", "ceiling"]
FITTED_TO = {"cnn8": "digits", "cnn28": "fashion-mnist"}
NOT_FITTED = "rand28"


def finish(x: Tensor, data: Data) -> Tensor:
    """Model output as what is stored and measured: uint8 pictures of the data's own levels, or points as they are."""
    return quantise(x, data.levels) if is_image(data.shape) and data.levels else x


def protocol_samples(data: Data) -> int:
    """How many samples the protocol asks for: 10,000 points, or as many images as there are to test, up to 10,000."""
    return standards.of_data(data).num_samples


def resolve(zoo: Zoo, model: Any, trained: TrainConfig, data: Data, config: SampleConfig) -> Drawing:
    """How ``config``, every default filled in, is drawn; raises where that does not go with the model."""
    counted = {
        "num_samples": config.num_samples or protocol_samples(data),
        "extractor": extractor_name(data, config.extractor),
    }
    return prepare_drawing(zoo, model, trained, data, config.model_copy(update=counted))


def extractor_name(data: Data, asked: str | None) -> str | None:
    """The extractor that measures this data; None for points."""
    return (asked or ev.default_extractor(data.shape)) if is_image(data.shape) else None


def load_extractor(name: str | None, weights: Path | None = None, zoo: Zoo | None = None) -> Extractor | None:
    """The extractor of that name, None for points."""
    return ev.load_extractor(name, weights=weights, zoo=zoo) if name else None


@dataclass(frozen=True)
class Judging:
    """How samples are judged: the file of the extractor's weights, another extractor beside it, how much likelihood.

    None ``beside`` an extractor that was fitted to a training split is one that was not, else nobody; "none" is nobody.
    """

    extractor_weights: Path | None = None
    beside: str | None = None
    likelihood_images: int = 256
    full_likelihood: bool = False

    def panel(self, zoo: Zoo, extractor: str | None) -> Panel:
        """Who looks at the images: nobody where ``extractor`` is None, for points."""
        if extractor is None:
            return Panel()
        first = ev.load_extractor(extractor, weights=self.extractor_weights, zoo=zoo)
        beside = self._beside(extractor)
        others = () if beside == "none" else (ev.load_extractor(beside, zoo=zoo),)
        foreign = set(zoo.names("metric")) - set(BUILT_IN["metric"])
        return Panel((first, *others), {name: zoo.metric(name) for name in sorted(foreign)})

    def _beside(self, extractor: str | None) -> str:
        name = self.beside or (NOT_FITTED if extractor in FITTED_TO else "none")
        return "none" if name == extractor else name

    def unusual(self, extractor: str | None) -> dict[str, Any]:
        """What a record beside ``extractor`` depends on that was asked for otherwise than by default."""
        usual = Judging()
        asked = {
            "beside": (self._beside(extractor), usual._beside(extractor)),
            "likelihood_images": (self.likelihood_images, usual.likelihood_images),
            "full_likelihood": (self.full_likelihood, usual.full_likelihood),
        }
        return {name: value for name, (value, default) in asked.items() if value != default}

    def likelihoods(self, model: Any, data: Data) -> tuple[Likelihood, ...]:
        """How well a model predicts some of the test split, given its labels: fixed images, or all points."""
        test = held_out(data, self.likelihood_images)
        return likelihoods(model, test.x, data.levels, labels=test.y, num_images=None, full=self.full_likelihood)


def divergence(found: tuple[Likelihood, ...], data: Data) -> dict[str, ev.Metric]:
    """``kl``, of points whose density is known and of a model that has a likelihood of them without their labels."""
    if data.density is None or not found or GIVEN_LABELS in found[0].kind:
        return {}
    kl = kl_from(found[0], data.density, data.test.points())
    return {} if kl is None else {"kl": kl}


def folder_of(zoo: Zoo, run: Path, run_id: str, config: SampleConfig, judging: Judging | None = None) -> Path:
    """Where the sample set of a resolved ``config`` is kept, below its run's folder; other judges, another folder."""
    plugin = zoo.owner("sampler", str(config.sampler))
    judged = (judging or Judging()).unusual(config.extractor)
    return run / "samples" / sample_id(config, run_id, PROTOCOL, {plugin.name: plugin.version}, judged)


def held_out(data: Data, num_images: int) -> Batch:
    """The test examples that likelihoods are taken of: so many fixed images, or all points."""
    rows = ev.subset(len(data.test), num_images if is_image(data.shape) else len(data.test), seed=0)
    return data.test.batch(rows)


def store_samples(folder: Path, samples: Tensor, labels: Tensor | None = None) -> str:
    """Write ``samples.npz`` and ``samples.png``; returns the sha256 of the samples."""
    write_atomically(folder / "samples.npz", npz(samples, labels))
    write_atomically(folder / "samples.png", png(samples, labels))
    return ev.content_hash(samples)


def npz(samples: Tensor, labels: Tensor | None = None) -> bytes:
    """The layout that other evaluators read: ``arr_0``, uint8 [n, h, w, c] (or float32 [n, 2]); ``arr_1``, the labels
    that were asked for, int64 [n], if there are any.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, samples.numpy(), *([] if labels is None else [labels.numpy()]))
    return buffer.getvalue()


def png(samples: Tensor, labels: Tensor | None = None) -> bytes:
    """A grid of the first images, 64 or eight of each class, a class a column; or all points as a scatter plot."""
    buffer, columns = io.BytesIO(), _columns(labels)
    if samples.dim() == 4:
        picture = grid(samples[: 8 * columns], columns=columns, scale=max(1, 32 // samples.shape[2]))
    else:
        picture = scatter(samples)
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _columns(labels: Tensor | None) -> int:
    """As many as there are classes, if they come in turn and are few enough to be seen."""
    num_classes = 0 if labels is None else int(labels.max()) + 1
    in_turn = labels is not None and torch.equal(labels, torch.arange(len(labels)) % num_classes)
    return num_classes if in_turn and 1 < num_classes <= 20 else 8


def save_samples(samples: Tensor, path: Path, labels: Tensor | None = None) -> None:
    """Write samples as a picture (``.png``) or as numbers (``.npz``), with the labels that were asked for."""
    write_atomically(path, npz(samples, labels) if path.suffix == ".npz" else png(samples, labels))


def score_samples(sampled: Sampled, standard: Standard, panel: Panel) -> ev.Record:
    """The record of images, or points, that no run of ours made."""
    if sampled.sampling.num_not_finite:
        raise _not_finite(sampled.sampling.num_not_finite, sampled.sampling.n)
    findings = standard.measure(sampled.samples.x, panel, sampled.samples.labels)
    if not findings.metrics:
        raise InvalidSamples("; ".join(findings.warnings))
    return assemble(Subject("model", sampled.model), sampled.sampling, findings.prepared(sampled.samples.preparation))


def _not_finite(num_bad: int, n: int) -> SamplingFailed:
    return SamplingFailed(f"{num_bad} of {n} samples are not finite: nothing is measured")


def measure(drawn: Drawn, standard: Standard, panel: Panel) -> Findings:
    """The metrics of samples that were drawn; raises :class:`SamplingFailed` where some are not finite."""
    if drawn.samples.num_not_finite:
        raise _not_finite(drawn.samples.num_not_finite, len(drawn.samples.x))
    return standard.measure(drawn.finished, panel, drawn.samples.labels)


def record(
    subject: Subject,
    drawn: Drawn,
    findings: Findings,
    *,
    likelihood: tuple[Likelihood, ...] = (),
    folder: Path | None = None,
) -> ev.Record:
    """The record of what was found; samples and record are written into ``folder`` if there is one."""
    sha256 = store_samples(folder, drawn.finished, drawn.samples.labels) if folder else ev.content_hash(drawn.finished)
    sealed = assemble(subject, drawn.part(sha256), findings, likelihood)
    if folder:
        ev.write_record(folder / "record.json", sealed)
    return sealed


def _fitted(standard: Standard, panel: Panel) -> list[str]:
    data = standard.name.partition(":")[0]
    return [
        f"{extractor.name} was fitted to the training split of {data}: train-vs-test is an optimistic ceiling"
        for extractor in panel.extractors
        if FITTED_TO.get(extractor.name) == data
    ]


def reference(role: Reference, data: Data, config: SampleConfig, out: Path) -> ev.Record:
    """The record of ``gaussian``, a Gaussian fitted to the training data, or of ``train-vs-test``, some of it."""
    name, n = REFERENCES[role], config.num_samples or protocol_samples(data)
    seen_by = Judging().panel(Zoo.load(), extractor_name(data, config.extractor))
    samples = Samples(_reference_samples(role, data, n, config.seed), None, None, 0, 0)
    drawn = Drawn(config.model_copy(update={"sampler": name}), samples, finish(samples.x, data))
    standard = standards.of_data(data)
    findings = measure(drawn, standard, seen_by).warned(_fitted(standard, seen_by) if role == "ceiling" else ())
    return record(Subject(role, named(name)), drawn, findings, folder=reference_folder(role, data, config, out))


REFERENCES: dict[Reference, str] = {"floor": "gaussian", "ceiling": "train-vs-test"}


def reference_folder(role: Reference, data: Data, config: SampleConfig, out: Path) -> Path:
    """Where a reference row of a results folder is kept."""
    name = REFERENCES[role]
    key = sample_id(config.model_copy(update={"sampler": name}), data.fingerprint, PROTOCOL, {"genzoo": version()})
    return out / f"{name}-{slug(data.name)}" / "samples" / key


def _reference_samples(role: Reference, data: Data, n: int, seed: int) -> Tensor:
    chosen = ev.subset(len(data.train), n if role == "ceiling" else MAX_IMAGES, seed)
    x = data.train.batch(chosen).x
    return x if role == "ceiling" else ev.gaussian(x, n, seed)
