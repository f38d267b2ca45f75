"""The parts of a record: who made the samples, what they were measured against, how they were drawn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from genzoo import evaluation as ev
from genzoo.config import SampleConfig, TrainConfig
from genzoo.data import Data
from genzoo.errors import GenZooError
from genzoo.evaluation.extractors import Extractor
from genzoo.evaluation.parts import (
    DataPart,
    ExtractorPart,
    Likelihood,
    ModelPart,
    ReferencePart,
    SamplingPart,
    SecondOpinion,
    TrainingPart,
)
from genzoo.evaluation.record import Content
from genzoo.evaluation.samples import SampleSet
from genzoo.provenance import code, environment
from genzoo.sampling import Samples


@dataclass(frozen=True)
class Subject:
    """What made the samples: a trained model, a reference, or somebody unknown."""

    role: Literal["model", "reference", "floor", "ceiling"]
    model: ModelPart
    training: TrainingPart | None = None
    precision: str = "float32"


@dataclass(frozen=True)
class Findings:
    """What was measured, against what, and what a reader must know."""

    data: DataPart
    metrics: dict[str, ev.Metric]
    extractor: ExtractorPart | None = None
    beside: SecondOpinion | None = None
    warnings: tuple[str, ...] = ()

    def prepared(self, changes: tuple[str, ...]) -> "Findings":
        """The same of samples that had to be converted first."""
        if not changes:
            return self
        told = f"samples: {'; '.join(changes)}"
        real = self.data.preparation
        data = self.data.model_copy(update={"preparation": f"{told}; real images: {real}" if real else told})
        return replace(self, data=data).warned([told])

    def extended(self, metrics: Mapping[str, ev.Metric]) -> "Findings":
        """The same with more metrics."""
        return replace(self, metrics={**self.metrics, **metrics})

    def warned(self, lines: Iterable[str]) -> "Findings":
        """The same with more for the reader to know."""
        return replace(self, warnings=(*self.warnings, *lines))


@dataclass(frozen=True)
class Drawn:
    """Samples as a resolved ``config`` drew them, and ``finished`` as they are stored and measured."""

    config: SampleConfig
    samples: Samples
    finished: Tensor
    references: Mapping[str, ReferencePart] = field(default_factory=dict)

    def part(self, sha256: str) -> SamplingPart:
        """How they were drawn, and what it cost."""
        samples = self.samples
        return SamplingPart(
            sampler=str(self.config.sampler),
            options=self.config.options,
            n=len(samples.x),
            seed=self.config.seed,
            calls_per_sample=samples.calls_per_sample,
            flops_per_sample=samples.flops_per_sample,
            seconds=samples.seconds,
            peak_memory_mb=samples.peak_memory_mb,
            num_not_finite=samples.num_not_finite,
            sha256=sha256,
            guidance=self.config.guidance,
            references=dict(self.references) or None,
        )


def given(samples: SampleSet) -> SamplingPart:
    """Of samples nobody knows how they were drawn."""
    return _sampling("given", len(samples), samples.sha256, SampleConfig())


def _sampling(sampler: str, n: int, sha256: str | None, config: SampleConfig) -> SamplingPart:
    """One whose cost is not known."""
    return SamplingPart(
        sampler=sampler,
        options=config.options,
        n=n,
        seed=config.seed,
        guidance=config.guidance,
        calls_per_sample=None,
        seconds=None,
        num_not_finite=0,
        sha256=sha256,
    )


def assemble(
    subject: Subject, sampling: SamplingPart, findings: Findings, likelihood: tuple[Likelihood, ...] = ()
) -> ev.Record:
    """The record of one evaluation."""
    return ev.seal(
        Content(
            status="ok",
            role=subject.role,
            code=code(),
            environment=environment(subject.precision),
            model=subject.model,
            training=subject.training,
            data=findings.data,
            sampling=sampling,
            extractor=findings.extractor,
            metrics=findings.metrics,
            beside=findings.beside,
            likelihood=likelihood,
            warnings=findings.warnings,
        )
    )


def failed(run: TrainConfig, config: SampleConfig, data: Data, error: Exception) -> ev.Record:
    """The record of a run that could not be finished: a row with its reason."""
    reason = str(error) if isinstance(error, GenZooError) else f"{type(error).__name__}: {error}"
    return ev.seal(
        Content(
            status="failed",
            reason=" ".join(reason.split()),
            role="model",
            code=code(),
            environment=environment("float32"),
            model=named(run.model, run.model_options, run.seed),
            data=split_part(data, "test", config.num_samples or len(data.test)),
            sampling=_sampling(str(config.sampler), 0, None, config),
        )
    )


def named(name: str, options: Mapping[str, Any] | None = None, seed: int | None = None) -> ModelPart:
    """A model of which nothing but the name, and perhaps its options, is known."""
    return ModelPart(
        name=name,
        plugin=None,
        plugin_version=None,
        options=dict(options or {}),
        parameters=None,
        checkpoint=None,
        seed=seed,
    )


def split_part(data: Data, split: str, n: int) -> DataPart:
    """``n`` examples of one split of a data set."""
    return DataPart(
        name=data.name,
        fingerprint=data.fingerprint,
        split=split,
        n=n,
        shape=data.shape,
        levels=data.levels,
        preprocessing=data.preprocessing,
    )


def extractor_part(extractor: Extractor) -> ExtractorPart:
    """The extractor as the record names it."""
    return ExtractorPart(
        name=extractor.name, hash=extractor.sha256, literature_comparable=extractor.literature_comparable
    )
