"""The record of one evaluation, schema ``genzoo.eval/1``: all that is needed to say what a number means.

One JSON file for each sample set. ``id`` is the sha256 of the rest as canonical JSON (sorted keys, no spaces), so a
record that was edited is noticed. There is no NaN: what is not finite is a metric that failed, with its reason.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from genzoo.config import Regime
from genzoo.errors import RunError
from genzoo.evaluation.parts import (
    Code,
    DataPart,
    Environment,
    ExtractorPart,
    Likelihood,
    Metric,
    ModelPart,
    Part,
    SamplingPart,
    SecondOpinion,
    TrainingPart,
)
from genzoo.files import write_text

SCHEMA = "genzoo.eval/1"
PROTOCOL = "genzoo-eval/1"


class Content(Part):
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
    metrics: dict[str, Metric] = Field(default_factory=dict)
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
