"""Records as tables: one per group of records that may share a ranked column, best model first.

Records share a table when :func:`genzoo.evaluation.record.comparable` finds nothing that differs; where one data set
needs several tables, each says why. The ceiling (``train-vs-test``) stands above the models and the floor
(``gaussian``) below them. Bold marks the best model and every model whose difference from it is within 1.96 standard
errors of the difference (or that prints alike): a lead is not claimed where the numbers do not show one.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genzoo.benchmark.columns import TIMES, Column, Reading, columns, kind_mark
from genzoo.evaluation.record import Better, Record, comparable

ORDER = {"ceiling": 0, "model": 1, "failed": 2, "floor": 3}


@dataclass(frozen=True)
class Cell:
    """A printed value; ``sort`` orders the column, kinds that must not be compared kept apart."""

    text: str
    reading: Reading
    places: int
    best: bool = False

    @property
    def sort(self) -> tuple[str, float] | None:
        value = self.reading.value
        return None if value is None else (self.reading.kind, value)

    @property
    def hint(self) -> str:
        """The error and kind of the value, or why there is none."""
        error = f"± {self.reading.se:.2g} (standard error)" if self.reading.se else ""
        return ", ".join(part for part in (error, plain(self.reading.kind), plain(self.reading.note, 300)) if part)


@dataclass(frozen=True)
class Row:
    """One record under its labels; a failed one has a reason instead of cells."""

    record: Record
    model: str
    sampler: str
    cells: Mapping[str, Cell]

    @property
    def role(self) -> str:
        """``model``, ``failed``, or a reference: ``ceiling`` or ``floor``."""
        return "failed" if self.reason else self.record.role

    @property
    def reason(self) -> str:
        """Why the run failed; empty when it did not."""
        return "" if _finished(self.record) else plain(self.record.reason or "no reason was recorded", 400)

    @property
    def label(self) -> str:
        return " · ".join(part for part in (self.model, self.sampler) if part)


@dataclass(frozen=True)
class Table:
    """Comparable rows, in the order in which they are shown."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    facts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def headline(self) -> Column:
        """What ranks the rows."""
        return self.columns[0]

    @property
    def models(self) -> tuple[Row, ...]:
        """The rows that are ranked."""
        return tuple(row for row in self.rows if row.role == "model")

    def expected(self, column: Column) -> str:
        """What a perfect model would score, printed; empty where it is not known."""
        cells = [row.cells[column.key] for row in self.rows if row.cells]
        known = [(cell.reading.expected, cell.places) for cell in cells if cell.reading.expected is not None]
        return column.write(*known[0]) if known else ""


def build(records: Iterable[Record]) -> list[Table]:
    """The tables of these records, by name of the data set; a failed run stands with others on its data."""
    groups: list[list[Record]] = []
    for record in sorted(records, key=lambda record: (record.data.name, not _finished(record))):
        home = next((group for group in groups if _belongs(record, group[0])), None)
        if home is None:
            groups.append(home := [])
        home.append(record)
    return [_table(group, _why_apart(group, groups)) for group in groups]


def plain(value: Any, limit: int = 80) -> str:
    """``value`` as one printable line of at most ``limit`` characters: names and options are other people's text."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _finished(record: Record) -> bool:
    return record.status == "ok"


def _belongs(record: Record, first: Record) -> bool:
    """Whether ``record`` may stand in the table of ``first``; a failed run need only be about the same data."""
    return record.data.name == first.data.name and not (_finished(record) and comparable(first, record))


def _why_apart(group: Sequence[Record], groups: Sequence[Sequence[Record]]) -> tuple[str, ...]:
    others = [other[0] for other in groups if other[0].data.name == group[0].data.name and other is not group]
    reasons = dict.fromkeys(plain(reason, 200) for other in others for reason in comparable(group[0], other))
    return tuple(f"Not comparable with another table on {plain(group[0].data.name)}: {reason}" for reason in reasons)


def _table(records: Sequence[Record], notes: tuple[str, ...]) -> Table:
    """``records`` with the failed ones last."""
    finished = [record for record in records if _finished(record)]
    sample = (finished or records)[0]
    headline, *others = columns(sample)
    shown = (headline, *(c for c in others if any(c.read(record).value is not None for record in finished)))
    cells = {column.key: _cells(column, finished, headline=column is headline) for column in shown}
    rows = [
        Row(record, *labels, {key: column[i] for key, column in cells.items()} if i < len(finished) else {})
        for i, (record, labels) in enumerate(zip(records, _labels(records), strict=True))
    ]
    name, rows = plain(sample.data.name), sorted(rows, key=_rank)
    return Table(name, shown, tuple(rows), _facts(sample), (*notes, *_notes(rows)))


def _rank(row: Row) -> tuple[int, bool, float, str]:
    headline = next(iter(row.cells.values())).reading.value if row.cells else None
    return ORDER.get(row.role, 1), headline is None, headline or 0.0, row.label


def _cells(column: Column, records: Sequence[Record], *, headline: bool) -> list[Cell]:
    readings = [column.read(record) for record in records]
    models = [i for i, record in enumerate(records) if record.role == "model" and readings[i].value is not None]
    places = _places(readings if headline else [readings[i] for i in models] or readings, by_error=headline)
    cells = [Cell(_text(column, reading, places, with_error=headline), reading, places) for reading in readings]
    best = _best(column.better, [cells[i] for i in models]) if column.better else []
    return [replace(cell, best=i in models and cell in best) for i, cell in enumerate(cells)]


def _best(better: Better, cells: Sequence[Cell]) -> list[Cell]:
    """The cells that lead among those of their kind; where all are level, none does."""
    found: list[Cell] = []
    for kind in {cell.reading.kind for cell in cells}:
        field = [cell for cell in cells if cell.reading.kind == kind]
        leader = (min if better == "lower" else max)(field, key=lambda cell: cell.reading.value or 0.0)
        leaders = [cell for cell in field if _level(cell, leader)]
        found += leaders if len(leaders) < len(field) else []
    return found


def _level(one: Cell, other: Cell) -> bool:
    """Whether the two print alike or the 95 % interval of their difference contains 0."""
    difference = abs((one.reading.value or 0.0) - (other.reading.value or 0.0))
    return one.text == other.text or difference <= 1.96 * math.hypot(one.reading.se or 0.0, other.reading.se or 0.0)


def _places(readings: Sequence[Reading], *, by_error: bool = False) -> int:
    """Decimal places for a whole column: one digit of the smallest error, else three of the smallest value."""
    errors = [reading.se for reading in readings if reading.se] if by_error else []
    sizes = errors or [abs(reading.value) for reading in readings if reading.value]
    if not sizes:
        return 2
    return min(3, max(0, (0 if errors else 2) - math.floor(math.log10(min(sizes)))))


def _text(column: Column, reading: Reading, places: int, *, with_error: bool) -> str:
    if reading.value is None:
        return "\N{EN DASH}"
    error = f" ± {column.write(reading.se, places)}" if with_error and reading.se else ""
    return kind_mark(reading.kind) + column.write(reading.value, places) + error


def _labels(records: Sequence[Record]) -> list[tuple[str, str]]:
    models = _named([record.model.name for record in records], [_training_settings(record) for record in records])
    samplers = [record.sampling.sampler if record.sampling and record.role == "model" else "" for record in records]
    samplers = _named(samplers, [_sampling_settings(record) for record in records], always=("num_steps",))
    labels = list(zip(models, samplers, strict=True))
    return [
        (model, sampler) if labels.count((model, sampler)) == 1 else (f"{model} #{record.id[:6]}", sampler)
        for (model, sampler), record in zip(labels, records, strict=True)
    ]


def _named(names: Sequence[str], settings: Sequence[Mapping[str, Any]], always: Sequence[str] = ()) -> list[str]:
    """Each name with the settings in which it differs from others of the same name, and those that are always told."""
    labels = []
    for name, mine in zip(names, settings, strict=True):
        others = [other for same, other in zip(names, settings, strict=True) if same == name]
        told = [key for key in mine if key in always or any(key in o and o[key] != mine[key] for o in others)]
        labels.append(" ".join([plain(name), *(f"{plain(key, 24)}={plain(mine[key], 24)}" for key in told)]))
    return labels


def _training_settings(record: Record) -> dict[str, Any]:
    model, training = record.model, record.training
    settings: dict[str, Any] = {**model.options, "seed": model.seed, "version": model.plugin_version}
    if training is not None:
        loop = {"trainer": training.trainer, "budget": training.budget, "batch_size": training.batch_size}
        settings |= {**training.options, **loop}
    return {key: value for key, value in settings.items() if value is not None}


def _sampling_settings(record: Record) -> dict[str, Any]:
    if record.sampling is None or record.role != "model":
        return {}
    return {**record.sampling.options, "seed": record.sampling.seed}


def _facts(record: Record) -> tuple[str, ...]:
    """What every number of the table rests on, in the order in which it is told."""
    data, extractor = record.data, record.extractor
    known = [_kind_of_data(data.shape, data.levels), f"{data.n} samples against the {plain(data.split)} split"]
    if extractor:
        known.append(f"features of {plain(extractor.name)}@{plain(extractor.hash)[:8]}")
        known += [] if extractor.literature_comparable else ["not comparable with the literature's FID"]
    return (*known, f"protocol {plain(record.protocol)}")


def _kind_of_data(shape: Sequence[int], levels: int | None) -> str:
    if len(shape) != 3:
        return "points in the plane"
    channels, height, width = shape
    return f"{width} {TIMES} {height} {'grey' if channels == 1 else 'colour'} images of {levels} levels"


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """Warnings, each told once with the rows it is about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        for warning in (*row.record.warnings, *_not_finite(row.record)):
            about.setdefault(plain(warning, 300), []).append(row.label)
    everyone = sum(row.role == "model" for row in rows)
    return tuple(text if len(who) >= everyone else f"{', '.join(who)}: {text}" for text, who in about.items())


def _not_finite(record: Record) -> tuple[str, ...]:
    sampling = record.sampling
    if sampling is None or not sampling.num_not_finite:
        return ()
    return (f"{sampling.num_not_finite} of {sampling.n} samples were not finite",)
