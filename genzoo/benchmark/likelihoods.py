"""All likelihoods of a table's models, kind by kind: different kinds are never ranked together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from genzoo.benchmark.cells import Cell, leaders, printed
from genzoo.benchmark.columns import LIKELIHOOD, Column, fixed, kind_mark, thousands
from genzoo.benchmark.labels import plain
from genzoo.benchmark.readings import NOTHING, Reading, over_seeds
from genzoo.evaluation.parts import Likelihood

if TYPE_CHECKING:
    from genzoo.benchmark.table import Row

VALUE = Column(
    "likelihoods",
    "negative log-likelihood",
    "Of held-out data; n examples, each costing so many calls.",
    lambda record: NOTHING,
    fixed,
    "lower",
    groups=(LIKELIHOOD,),
)


@dataclass(frozen=True)
class Answer:
    """One model's likelihood of one kind, over its seeds; ``reason`` says why there is no value."""

    kind: str
    model: str
    cell: Cell
    unit: str
    n: str
    calls: str
    reason: str


def answers(rows: Sequence["Row"]) -> tuple[Answer, ...]:
    """By kind, best first, with the models without any last; samplings of one model share their likelihood."""
    found: dict[tuple[str, ...], tuple[Row, list[Likelihood]]] = {}
    for row in rows:
        if row.role in ("model", "unranked", "reference"):
            for kind, likelihoods in _by_kind(row).items():
                values = [(one.value, one.n, one.calls) for one in likelihoods]
                found.setdefault((row.model, kind, repr(values)), (row, likelihoods))
    owned = list(found.values())
    readings = [over_seeds([_reading(one) for one in likelihoods]) for _, likelihoods in owned]
    ranked = [i for i, (row, _) in enumerate(owned) if row.role == "model" and readings[i].value is not None]
    cells = printed(VALUE, readings, [len(part) for _, part in owned], ranked)
    best = leaders(VALUE, [cells[i] for i in ranked])
    marked = [replace(cell, best=any(cell is one for one in best)) for cell in cells]
    told = [_answer(row, part, cell) for (row, part), cell in zip(owned, marked, strict=True)]
    return tuple(sorted(told, key=_order))


def _by_kind(row: "Row") -> dict[str, list[Likelihood]]:
    kinds: dict[str, list[Likelihood]] = {}
    for record in row.trials.finished:
        for found in record.likelihood:
            kinds.setdefault(found.kind, []).append(found)
    return kinds


def _reading(found: Likelihood) -> Reading:
    return Reading(found.value, found.se, kind=found.kind, mark=kind_mark(found.kind), note=found.reason or "")


def _answer(row: "Row", likelihoods: Sequence[Likelihood], cell: Cell) -> Answer:
    first = likelihoods[0]
    calls = "" if first.calls is None else thousands(first.calls)
    reason = "" if cell.reading.value is not None else plain(first.reason or "no reason was recorded", 200)
    return Answer(plain(first.kind), row.model, cell, first.unit, f"{first.n:,}" if first.n else "", calls, reason)


def _order(answer: Answer) -> tuple[bool, str, float, str]:
    value = answer.cell.reading.value
    return value is None, answer.kind, value or 0.0, answer.model
