"""The record of one evaluation, schema ``genzoo.eval/1``: all that is needed to say what a number means.

One JSON file for each sample set. ``id`` is the sha256 of the rest as canonical JSON (sorted keys, no spaces), so a
record that was edited is noticed. There is no NaN: what is not finite is a metric that failed, with its reason.
"""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_serializer

from genzoo.config import Regime
from genzoo.errors import RunError
from genzoo.files import write_text

SCHEMA = "genzoo.eval/1"
PROTOCOL = "genzoo-eval/1"
Better = Literal["lower", "higher"]
Unit = Literal["bits/dim", "nats"]
Options = dict[str, JsonValue]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)
    younger: ClassVar[tuple[str, ...]] = ()
    """Fields that older records lack: left out where they are None, so that the ids of those stay what they were."""

    @model_serializer(mode="wrap")
    def _without_unknown(self, written: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in written(self).items() if value is not None or name not in self.younger}


class Metric(_Part):
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


class Likelihood(_Part):
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


class Code(_Part):
    """Which GenZoo: its version, and the commit if it runs from a clone."""

    version: str
    git: str | None


class Environment(_Part):
    """Which machine and libraries drew and evaluated; ``precision`` of the drawing (features are always float32)."""

    python: str
    torch: str
    diffusers: str | None
    cpu: str
    gpu: str | None
    threads: int
    precision: str


class Parameters(_Part):
    """Numbers of weights: needed to sample, of the whole model, and with what only training needs."""

    generator: Count
    total: Count
    training: Count


class ModelPart(_Part):
    """What was sampled; ``checkpoint`` is the sha256 of its weights. A reference row has only a name."""

    name: str
    plugin: str | None
    plugin_version: str | None
    options: Options
    parameters: Parameters | None
    checkpoint: str | None
    seed: int | None


class ReferencePart(_Part):
    """A trained model that took part: its name, the id and the weights of its training, and what that took."""

    model: str
    id: str
    checkpoint: str
    seconds: float
    flops: float | None
    parameters: Count


class TrainingPart(_Part):
    """What the training cost: seconds of wall time, floating-point operations, megabytes; and on which machine.

    Seconds and operations are with those of the ``references``, trained models that an option of the trainer names.
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


class DataPart(_Part):
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


class SamplingPart(_Part):
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


class ExtractorPart(_Part):
    """Whose features; ``hash`` is the sha256 of the weights file."""

    name: str
    hash: str
    literature_comparable: bool

    @property
    def key(self) -> str:
        """Who it is: two may share a file of weights and compute different features of it."""
        return f"{self.name}@{self.hash}"


class SecondOpinion(_Part):
    """The same images seen by another extractor: the first may have been fitted to the data that it judges."""

    extractor: ExtractorPart
    metrics: dict[str, Metric]


class Content(_Part):
    """A record without its id; parts that a run never reached are None.

    The first ``likelihood`` is the one that tables show. ``regimes`` are what the suite asked to be equal,
    and how much of it (None: as much as the median row).
    """

    schema_: Literal["genzoo.eval/1"] = Field(default="genzoo.eval/1", alias="schema")
    status: Literal["ok", "failed"]
    reason: str | None = None
    role: Literal["model", "reference", "floor", "ceiling"]
    code: Code
    environment: Environment
    model: ModelPart
    training: TrainingPart | None = None
    data: DataPart
    sampling: SamplingPart | None = None
    extractor: ExtractorPart | None = None
    protocol: str = PROTOCOL
    metrics: dict[str, Metric] = {}
    beside: SecondOpinion | None = None
    likelihood: tuple[Likelihood, ...] = ()
    regimes: dict[Regime, float | None] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self.model_dump(mode="json", by_alias=True)


class Record(Content):
    """A whole record; :func:`seal` makes one. As text, one line a number."""

    id: str

    def __str__(self) -> str:
        sampler = f", {self.sampling.n:,} samples by {self.sampling.sampler}" if self.sampling else ""
        head = f"{self.model.name} on {self.data.name}{sampler}: {self.reason or self.protocol}"
        lines = [_line(name, metric.value, metric.se, metric.reason or f"{metric.better} is better")
                 for name, metric in self.metrics.items()]  # fmt: skip
        lines += [_line(found.unit, found.value, found.se, found.reason or found.kind) for found in self.likelihood]
        return "\n".join([head, *lines, *self.warnings])


def _line(name: str, value: float | None, se: float | None, note: str) -> str:
    number = "" if value is None else f"{value:.4g}"
    return f"  {name:<14} {number:>10}{f' ± {se:.2g}' if se else '':<10}  {note}"


def digest(content: dict[str, Any]) -> str:
    """sha256 of canonical JSON of everything but ``id``."""
    rest = {key: value for key, value in content.items() if key != "id"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def seal(content: Content) -> Record:
    """The record with its id."""
    values = content.as_json()
    return Record.model_validate({**values, "id": digest(values)})


def write_record(path: Path, record: Record) -> None:
    """Write it as indented JSON, under a temporary name first; raises :class:`StorageError`."""
    write_text(path, json.dumps(record.as_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_record(path: Path) -> Record:
    """Read what :func:`write_record` wrote.

    Raises:
        RunError: the file cannot be read, is not JSON, has another schema, lacks a field, or was edited.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} cannot be read as a record ({reason}): evaluate its samples again") from error
    found = values.get("schema") if isinstance(values, dict) else None
    if found != SCHEMA:
        raise RunError(f"{path} has schema {found!r}, this version reads {SCHEMA!r}: evaluate its samples again")
    try:
        record = Record.model_validate(values)
        whole = digest(record.as_json())
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunError(f"{path}: {where}: {error.errors()[0]['msg']}: evaluate its samples again") from error
    except ValueError as error:  # half a character, which no file can hold
        raise RunError(f"{path} cannot be read as a record ({error}): evaluate its samples again") from error
    if record.id != whole:
        raise RunError(f"{path} was changed after it was written (its id does not match): evaluate its samples again")
    return record
