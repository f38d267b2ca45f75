"""Two results folders side by side: the rows that are in both, and whether one is better than the other.

Rows are matched by data set, model, sampler and their options; where a folder has several of these, by trainer, budget
and batch size as well. A difference is given only where :func:`genzoo.evaluation.comparable` allows it, and is
called better or worse only where its 95 % interval excludes 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genzoo.benchmark import store
from genzoo.benchmark.apart import why_not
from genzoo.benchmark.catalogue import columns
from genzoo.benchmark.cells import NONE, printed
from genzoo.benchmark.columns import Column
from genzoo.benchmark.labels import labels, plain
from genzoo.benchmark.notes import failures
from genzoo.benchmark.readings import Reading, difference, over_seeds
from genzoo.benchmark.seeds import Trials, gather, key, settings
from genzoo.benchmark.table import ORDER
from genzoo.benchmark.verdicts import printed_difference
from genzoo.evaluation.record import Record
from genzoo.provenance import sampled_on, trained_on

Verdict = Literal["better", "worse", "level", ""]


@dataclass(frozen=True)
class Contrast:
    """One column of a matched row: both values, their difference, and what it shows; ``why`` there is no verdict."""

    column: Column
    mine: str
    theirs: str
    difference: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Pair:
    """A row that both folders have. ``apart`` says why its numbers may not be compared, ``told`` what else differs."""

    data: str
    model: str
    sampler: str
    seeds: tuple[int, int]
    contrasts: tuple[Contrast, ...]
    apart: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def label(self) -> str:
        return " · ".join(part for part in (self.model, self.sampler) if part)

    @property
    def headline(self) -> Contrast:
        return self.contrasts[0]


@dataclass(frozen=True)
class Comparison:
    """Two folders: their names, the pairs, and the rows that only one of them has."""

    names: tuple[str, str]
    pairs: tuple[Pair, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    skipped: tuple[str, ...]

    @property
    def data(self) -> dict[str, list[Pair]]:
        """The pairs by data set."""
        found: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            found.setdefault(pair.data, []).append(pair)
        return found


def compare(folder: Path, other: Path) -> Comparison:
    """Raises :class:`genzoo.errors.RunError` where one of them is not a results folder."""
    loaded = store.load(folder), store.load(other)
    mine, theirs = (gather(entry.record for entry in results.entries) for results in loaded)
    matched = match(mine, theirs)
    names = dict(_labelled(mine)) | dict(_labelled(theirs))
    taken = {id(trials) for both in matched for trials in both}
    only = tuple(tuple(_full(row, names) for row in rows if id(row) not in taken) for rows in (mine, theirs))
    pairs = tuple(_pair(*both, names[id(both[0])]) for both in sorted(matched, key=_order))
    return Comparison(_names(folder, other), pairs, (only[0], only[1]), (*loaded[0].skipped, *loaded[1].skipped))


def match(mine: Sequence[Trials], theirs: Sequence[Trials]) -> list[tuple[Trials, Trials]]:
    """Rows of the same settings; among several of those, of the same training too. None is used twice."""
    found: list[tuple[Trials, Trials]] = []
    for by in (_exactly, _loosely):
        left = [rows for rows in mine if all(rows is not one for one, _ in found)]
        free = [rows for rows in theirs if all(rows is not one for _, one in found)]
        for row in left:
            same = [other for other in free if by(other) == by(row)]
            alone = sum(by(other) == by(row) for other in left) == 1
            found += [(row, same[0])] if alone and len(same) == 1 else []
    return found


def _loosely(row: Trials) -> str:
    return key(settings(row.first))


def _exactly(row: Trials) -> str:
    training = row.first.training
    how = training and [training.trainer, training.options, training.budget, training.batch_size]
    return key([settings(row.first), how])


def _labelled(rows: Sequence[Trials]) -> list[tuple[int, tuple[str, str]]]:
    """(id of the row, its labels), those of one data set told apart."""
    by_data: dict[str, list[Trials]] = {}
    for row in rows:
        by_data.setdefault(row.first.data.name, []).append(row)
    return [(id(row), label) for part in by_data.values() for row, label in zip(part, labels(part), strict=True)]


def _full(row: Trials, names: dict[int, tuple[str, str]]) -> str:
    return " · ".join(part for part in (plain(row.first.data.name), *names[id(row)]) if part)


def _names(folder: Path, other: Path) -> tuple[str, str]:
    short = folder.absolute().name, other.absolute().name
    one, two = short if short[0] != short[1] else (str(folder), str(other))
    return plain(one, 300), plain(two, 300)


def _order(both: tuple[Trials, Trials]) -> tuple[str, int, float]:
    """By data set, then as in its table: the ceiling, the models by the first folder's headline, the floor."""
    record = both[0].first
    value = _reading(columns([record])[0], both[0]).value
    return record.data.name, ORDER[record.role], math.inf if value is None else value


def _pair(mine: Trials, theirs: Trials, names: tuple[str, str]) -> Pair:
    apart = tuple(plain(reason, 200) for reason in _apart(mine, theirs))
    shown = columns([mine.first, theirs.first])
    found = [_contrast(column, mine, theirs, blocked=bool(apart)) for column in shown]
    kept = tuple(one for one in found if one.column is shown[0] or NONE not in (one.mine, one.theirs))
    seeds = len(mine.finished), len(theirs.finished)
    return Pair(plain(mine.first.data.name), *names, seeds, kept, apart, _differences(mine.first, theirs.first))


def _apart(mine: Trials, theirs: Trials) -> list[str]:
    failed = [f"failed in {where} folder: {failures(rows)}"
              for where, rows in (("the first", mine), ("the other", theirs)) if not rows.finished]  # fmt: skip
    return failed or why_not(mine.first, theirs.first)


def _contrast(column: Column, mine: Trials, theirs: Trials, *, blocked: bool) -> Contrast:
    readings = [_reading(column, rows) for rows in (mine, theirs)]
    cells = printed(column, readings, (), range(2))
    values = [" ".join(part for part in (cell.value, cell.error) if part) for cell in cells]
    found = None if blocked else difference(*readings)
    if found is None:
        return Contrast(column, values[0], values[1], "", "", "" if blocked else _unlike(*readings))
    shown = printed_difference(column, found, cells[0].places)
    if column.better is None or not readings[0].ranks:
        return Contrast(column, values[0], values[1], shown, "", "" if readings[0].ranks else "AIS ranks nobody")
    if found.half_width is None and found.value != 0:
        return Contrast(column, values[0], values[1], shown, "", "an error is not known")
    verdict: Verdict = "level"
    if found.excludes_zero:
        verdict = "better" if (found.value < 0) == (column.better == "lower") else "worse"
    return Contrast(column, values[0], values[1], shown, verdict)


def _reading(column: Column, rows: Trials) -> Reading:
    return over_seeds([column.read(record) for record in rows.finished]) if rows.finished else Reading(None)


def _unlike(mine: Reading, theirs: Reading) -> str:
    if mine.value is None or theirs.value is None:
        return ""
    return f"{plain(mine.kind)} against {plain(theirs.kind)}"


def _differences(mine: Record, theirs: Record) -> tuple[str, ...]:
    """What else is not the same: versions, machine, how it was trained."""
    ours, its = _circumstances(mine), _circumstances(theirs)
    told = [f"{name}: {plain(ours[name])} against {plain(its[name])}" for name in ours if ours[name] != its[name]]
    drawn = [record.sampling.sha256 if record.sampling else None for record in (mine, theirs)]
    same = drawn[0] is not None and drawn[0] == drawn[1]
    return (*told, *(["the very same samples"] if same else []))


def _circumstances(record: Record) -> dict[str, Any]:
    training, environment = record.training, record.environment
    return {
        "genzoo": record.code.version,
        "git": record.code.git,
        "plugin": record.model.plugin_version,
        "torch": environment.torch,
        "machine": sampled_on(record),
        "machine of the training": trained_on(record),
        "precision": environment.precision,
        "trainer": training and training.trainer,
        "trainer options": training and training.options,
        "budget": training and training.budget,
        "batch size": training and training.batch_size,
    }
