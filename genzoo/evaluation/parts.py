"""The parts of a record (:mod:`genzoo.evaluation.record`): what made the samples, at what cost, what was measured."""

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_serializer

Better = Literal["lower", "higher"]
Unit = Literal["bits/dim", "nats"]
Options = dict[str, JsonValue]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)
    younger: ClassVar[tuple[str, ...]] = ()
    """Fields that older records lack: left out where they are None, so that the ids of those stay what they were."""

    @model_serializer(mode="wrap")
    def _without_unknown(self, written: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in written(self).items() if value is not None or name not in self.younger}


class Metric(Part):
    """A value, which end is better, its error (se, 95 % interval), how it was made.

    ``floor`` is what fresh draws of the true distribution score, ``expected`` what theory says a perfect model scores.
    """

    value: float | None
    better: Better
    how: str
    se: float | None = None
    interval: tuple[float, float] | None = None
    floor: float | None = None
    expected: float | None = None
    status: Literal["ok", "failed"] = "ok"
    reason: str | None = None


def measured(
    value: float,
    better: Better,
    how: str,
    *,
    se: float | None = None,
    interval: tuple[float, float] | None = None,
    floor: float | None = None,
    expected: float | None = None,
) -> Metric:
    """A :class:`Metric`; one whose value is not finite has failed, and an error that is not finite is left out."""
    if not math.isfinite(value):
        return Metric(value=None, better=better, how=how, status="failed", reason=f"the value came out as {value}")
    if se is not None and not math.isfinite(se):
        se = interval = None
    return Metric(value=value, better=better, how=how, se=se, interval=interval, floor=floor, expected=expected)


class Likelihood(Part):
    """Negative log-likelihood of held-out data; numbers of different ``kind`` are never ranked together.

    ``calls`` are rows passed through the network for each example.
    """

    value: float | None
    unit: Unit
    kind: str
    se: float | None = None
    n: Count = 0
    calls: float | None = None
    reason: str | None = None


class Code(Part):
    """Which GenZoo: its version, and the commit if it runs from a clone."""

    version: str
    git: str | None


class Environment(Part):
    """Which machine and libraries drew and evaluated; ``precision`` of the drawing (features are always float32)."""

    python: str
    torch: str
    diffusers: str | None
    cpu: str
    gpu: str | None
    threads: int
    precision: str


class Parameters(Part):
    """Numbers of weights: needed to sample, of the whole model, and with what only training needs."""

    generator: Count
    total: Count
    training: Count


class ModelPart(Part):
    """What was sampled; ``checkpoint`` is the sha256 of its weights. A reference row has only a name."""

    name: str
    plugin: str | None
    plugin_version: str | None
    options: Options
    parameters: Parameters | None
    checkpoint: str | None
    seed: int | None


class ReferencePart(Part):
    """A trained model that took part: its name, the id and the weights of its training, and what that took."""

    model: str
    id: str
    checkpoint: str
    seconds: float
    flops: float | None
    parameters: Count

    @property
    def training(self) -> tuple[str, str]:
        """Which training it was: the id of a finished run is followed by ``@`` and its weights."""
        return self.id.partition("@")[0], self.checkpoint


class TrainingPart(Part):
    """What the training cost: seconds of wall time, floating-point operations, megabytes; and on which machine.

    Seconds and operations are with those of the ``references``, trained models that an option of the trainer names, and
    those that they needed in turn (``option/option``); a training counts once, however often it is named.
    """

    younger = ("cpu", "gpu", "threads", "references")
    trainer: str
    options: Options
    budget: str
    batch_size: int
    images_seen: Count
    steps: Count
    seconds: float
    flops: float | None
    peak_memory_mb: float | None
    precision: str
    cpu: str | None = None
    gpu: str | None = None
    threads: int | None = None
    references: dict[str, ReferencePart] | None = None


class DataPart(Part):
    """The real side: ``n`` examples of ``split``; ``levels`` is None for points.

    ``preparation`` is what was done to images of another size or mode, ``preprocessing`` what the data set does itself.
    """

    younger = ("preprocessing",)
    name: str
    fingerprint: str
    split: str
    n: Count
    shape: tuple[int, ...]
    levels: int | None
    preparation: str | None = None
    preprocessing: str | None = None


class SamplingPart(Part):
    """The generated side: rows passed through the network and floating-point operations for each sample, seconds,
    megabytes, the hash of the samples; how strongly labels were followed, and the trained models that took part.
    """

    younger = ("guidance", "references")

    sampler: str
    options: Options
    n: Count
    seed: int
    calls_per_sample: float | None
    flops_per_sample: float | None = None
    seconds: float | None
    peak_memory_mb: float | None = None
    num_not_finite: Count
    sha256: str | None
    guidance: float | None = None
    references: dict[str, ReferencePart] | None = None


class ExtractorPart(Part):
    """Whose features; ``hash`` is the sha256 of the weights file."""

    name: str
    hash: str
    literature_comparable: bool

    @property
    def key(self) -> str:
        """Who it is: two may share a file of weights and compute different features of it."""
        return f"{self.name}@{self.hash}"


class SecondOpinion(Part):
    """The same images seen by another extractor: the first may have been fitted to the data that it judges."""

    extractor: ExtractorPart
    metrics: dict[str, Metric]
