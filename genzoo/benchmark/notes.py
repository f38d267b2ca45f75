"""What is told around a table: what its numbers rest on, warnings, failed seeds, times of different machines."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from genzoo.benchmark.apart import regime
from genzoo.benchmark.columns import TIMES, TRAINING_IMAGES, Column, ends_apart
from genzoo.benchmark.labels import listed, plain
from genzoo.benchmark.seeds import Trials
from genzoo.evaluation.record import Record
from genzoo.provenance import sampled_on, trained_on

if TYPE_CHECKING:
    from genzoo.benchmark.table import Row

MACHINES = {"training": trained_on, "sampling": sampled_on}
"""Whose seconds and memory depend on which machine."""


def facts(record: Record) -> tuple[str, ...]:
    """What every number of the table rests on, in the order in which it is told."""
    data, extractor = record.data, record.extractor
    known = [_kind_of_data(data.shape, data.levels), f"{data.n} samples against the {plain(data.split)} split"]
    known += [plain(data.preparation)] if data.preparation else []
    if extractor:
        known.append(f"features of {plain(extractor.name)}@{plain(extractor.hash)[:8]}")
        known += [] if extractor.literature_comparable else ["not comparable with the literature's FID"]
    known += [f"regime {regime(record)}"] if record.regimes else []
    return (*known, f"protocol {plain(record.protocol)}")


def _kind_of_data(shape: Sequence[int], levels: int | None) -> str:
    if len(shape) != 3:
        return "points in the plane"
    channels, height, width = shape
    return f"{width} {TIMES} {height} {'grey' if channels == 1 else 'colour'} images of {levels} levels"


def failures(trials: Trials) -> str:
    """Why runs failed: each reason once, with the seeds it is about where there were several runs."""
    reasons: dict[str, list[str]] = {}
    for record in trials.failed:
        reasons.setdefault(plain(record.reason or "no reason was recorded", 400), []).append(str(record.model.seed))
    if len(trials.all) == 1:
        return next(iter(reasons))
    return "; ".join(f"seed{'s' if len(who) > 1 else ''} {listed(who)}: {why}" for why, who in reasons.items())


def notes(rows: Sequence["Row"], columns: Sequence[Column]) -> tuple[str, ...]:
    """Everything that is told below a table, each once with the rows it is about."""
    failed = [
        f"{row.label}: {len(row.trials.failed)} of {len(row.trials.all)} seeds failed: {failures(row.trials)}"
        for row in rows
        if row.trials.finished and row.trials.failed
    ]
    broken = [f"{row.label} is not ranked: {row.broken}" for row in rows if row.broken]
    blank = [
        f"{row.label}: {TRAINING_IMAGES.note}"
        for row in rows
        if any(cell.reading.note == TRAINING_IMAGES.note for cell in row.cells.values())
    ]
    return (*broken, *failed, *blank, *_machines(rows, columns), *_warnings(rows))


def _machines(rows: Sequence["Row"], columns: Sequence[Column]) -> tuple[str, ...]:
    """Which rows were timed where, if not all in one place."""
    shown = {column.key for column in columns}
    told: dict[str, list[str]] = {}
    for what, machine in MACHINES.items():
        if shown & {f"{what}_seconds", f"{what}_memory"} and (places := _places(rows, machine)):
            told.setdefault(places, []).append(what)
    return tuple(
        f"Seconds and memory of {listed(whats)} were measured on different machines, so they are not ranked together: "
        f"{places}"
        for places, whats in told.items()
    )


def _places(rows: Sequence["Row"], machine: Callable[[Record], str]) -> str:
    """``a, b on one; c on another``; empty where all were in one place."""
    places: dict[str, dict[str, None]] = {}
    for row in rows:
        for record in row.trials.finished if row.role != "failed" and row.record.role == "model" else ():
            places.setdefault(plain(machine(record)), {})[row.label] = None
    return "; ".join(f"{', '.join(who)} on {place}" for place, who in places.items()) if len(places) > 1 else ""


def _warnings(rows: Sequence["Row"]) -> tuple[str, ...]:
    about: dict[str, dict[str, None]] = {}
    for row in rows:
        for record in row.trials.all:
            for warning in (*record.warnings, *_not_finite(record), *_ends_apart(record)):
                about.setdefault(plain(warning, 300), {})[row.label] = None
    everyone = sum(row.role in ("model", "unranked") for row in rows)
    return tuple(text if len(who) >= everyone else f"{', '.join(who)}: {text}" for text, who in about.items())


def _not_finite(record: Record) -> tuple[str, ...]:
    sampling = record.sampling
    if sampling is None or not sampling.num_not_finite:
        return ()
    return (f"{sampling.num_not_finite} of {sampling.n} samples were not finite",)


def _ends_apart(record: Record) -> tuple[str, ...]:
    apart = ends_apart(record)
    if not apart:
        return ()
    told = f"the two ends of annealed importance sampling lie {apart:,.2f} {record.likelihood[0].unit} apart"
    return (f"{told}: the normaliser, and so the likelihood, is not known",)
