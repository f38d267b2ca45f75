"""Records as tables: one per group of records that may share a ranked column, best model first.

Records share a table when :func:`genzoo.evaluation.comparable` finds nothing that differs and the same regime
was asked for; where one data set needs several tables, each says why. Records that differ only in the training seed are
one row. The ceiling (``train-vs-test``) stands above the models and the floor (``gaussian``) below them. Bold marks the
models that none beats, and one beats another only where the 95 % interval of their difference excludes 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from genzoo.benchmark import apart, labels
from genzoo.benchmark.catalogue import columns
from genzoo.benchmark.cells import Cell, leaders, printed
from genzoo.benchmark.columns import COST, MEMORISATION, OTHER_RULES, QUALITY, Column
from genzoo.benchmark.labels import plain
from genzoo.benchmark.likelihoods import Answer, answers
from genzoo.benchmark.notes import facts, failures, notes
from genzoo.benchmark.readings import over_seeds
from genzoo.benchmark.seeds import Trials, gather
from genzoo.evaluation.record import Record

REFERENCES = ("ceiling", "reference", "floor")
ORDER = {"ceiling": 0, "model": 1, "unranked": 2, "failed": 3, "reference": 4, "floor": 5}
GROUPS = (QUALITY, MEMORISATION, COST, OTHER_RULES)


@dataclass(frozen=True)
class Row:
    """The records of one training a seed under their labels; where all failed it has a reason instead of cells.

    ``broken`` says how it breaks the regime that its table asks for.
    """

    trials: Trials
    model: str
    sampler: str
    cells: Mapping[str, Cell]
    broken: str = ""

    @property
    def record(self) -> Record:
        return self.trials.first

    @property
    def role(self) -> str:
        """``model``, ``unranked``, ``failed``, or one of :data:`REFERENCES`."""
        if not self.trials.finished:
            return "failed"
        return "unranked" if self.broken else self.record.role

    @property
    def reason(self) -> str:
        """Why all its runs failed; empty when one did not."""
        return "" if self.trials.finished else failures(self.trials)

    @property
    def label(self) -> str:
        return " · ".join(part for part in (self.model, self.sampler) if part)


@dataclass(frozen=True)
class Table:
    """Comparable rows, in the order in which they are shown; ``singles`` are the single seeds of rows with several."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    singles: tuple[Row, ...]
    likelihoods: tuple[Answer, ...]
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

    @property
    def groups(self) -> dict[str, tuple[Column, ...]]:
        """The columns by what they are about, the headline's group first."""
        found = {name: tuple(c for c in self.columns if name in c.groups) for name in GROUPS}
        return {name: group for name, group in found.items() if group}

    def expected(self, column: Column) -> str:
        """What a perfect model would score, printed; empty where it is not known."""
        cells = [row.cells[column.key] for row in self.rows if row.cells]
        known = [(cell.reading.expected, cell.places) for cell in cells if cell.reading.expected is not None]
        return column.text(*known[0]) if known else ""


def build(records: Iterable[Record]) -> list[Table]:
    """The tables of these records, by name of the data set; a failed run stands with others on its data."""
    groups = apart.groups(records)
    return [_table(group, apart.reasons(group, groups)) for group in groups]


def _table(records: Sequence[Record], why: tuple[str, ...]) -> Table:
    """``records`` with the failed ones last."""
    trials = sorted(gather(records), key=lambda row: not row.finished)
    finished = [row for row in trials if row.finished]
    headline, *others = columns([row.first for row in finished or trials])
    measured = [record for row in finished for record in row.finished]
    shown = (headline, *(c for c in others if any(c.read(record).value is not None for record in measured)))
    broken = apart.regime_breaks(records)
    rows = [
        Row(row, *label, {}, next((broken[r.id] for r in row.finished if r.id in broken), ""))
        for row, label in zip(trials, labels.labels(trials), strict=True)
    ]
    rows = _filled(shown, rows)
    rows.sort(key=_rank)
    told = (*why, *notes(rows, shown))
    sample = (finished or trials)[0].first
    return Table(plain(sample.data.name), shown, tuple(rows), _singles(shown, rows), answers(rows), facts(sample), told)


def _filled(shown: Sequence[Column], rows: Sequence[Row]) -> list[Row]:
    """The rows with their cells, the leaders marked."""
    finished = [row for row in rows if row.role != "failed"]
    columns = {column.key: _column(column, finished, headline=column is shown[0]) for column in shown}
    cells = [{key: column[i] for key, column in columns.items()} for i in range(len(finished))]
    return [*map(_with_cells, finished, cells), *(row for row in rows if row.role == "failed")]


def _with_cells(row: Row, cells: Mapping[str, Cell]) -> Row:
    return replace(row, cells=cells)


def _column(column: Column, rows: Sequence[Row], *, headline: bool) -> list[Cell]:
    readings = [over_seeds([column.read(record) for record in row.trials.finished]) for row in rows]
    ranked = [i for i, row in enumerate(rows) if row.role == "model" and readings[i].value is not None]
    counts = [len(row.trials.all) if row.record.role == "model" else 1 for row in rows]
    cells = printed(column, readings, counts if headline else (), range(len(rows)) if headline else ranked)
    best = leaders(column, [cells[i] for i in ranked])
    cells = [replace(cell, best=i in ranked and any(cell is one for one in best)) for i, cell in enumerate(cells)]
    return [
        replace(cell, seeds="") if row.record.role != "model" else cell for row, cell in zip(rows, cells, strict=True)
    ]


def _singles(shown: Sequence[Column], rows: Sequence[Row]) -> tuple[Row, ...]:
    """Every finished seed of the rows that have several, as a row of its own; none is marked."""
    found = [
        Row(Trials((record,)), f"{row.model} seed={record.model.seed}", row.sampler, {})
        for row in rows
        for record in (row.trials.finished if len(row.trials.all) > 1 else ())
    ]
    filled = _filled(shown, found)
    return tuple(replace(row, cells={k: replace(c, best=False) for k, c in row.cells.items()}) for row in filled)


def _rank(row: Row) -> tuple[int, bool, float, str]:
    headline = next(iter(row.cells.values())).reading.value if row.cells else None
    return ORDER.get(row.role, 1), headline is None, headline or 0.0, row.label
