"""What a table shows, in words: who beats whom, and between whom the difference does not exclude 0."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genzoo.benchmark.columns import COST, Column
from genzoo.benchmark.labels import listed
from genzoo.benchmark.readings import Difference, beats, difference

if TYPE_CHECKING:
    from genzoo.benchmark.table import Row, Table


def finding(table: "Table") -> str:
    """The table in a sentence, which claims no lead that the errors do not carry."""
    key, first = table.headline.key, _scored(table)[:1]
    if not first:
        return "No model has finished here."
    lead = f"{first[0].label} has the lowest {table.headline.title}, {first[0].cells[key].text}"
    references = [f"{row.model} {row.cells[key].text}" for row in table.rows if row.role in ("ceiling", "floor")]
    return f"{lead}. For scale: {listed(references)}." if references else f"{lead}."


def verdict(table: "Table") -> str:
    """Whom the first row beats in the headline, from whom it is not told apart, and what that rests on."""
    scored, column = _scored(table), table.headline
    if len(scored) < 2:
        return ""
    first, *others = scored
    won = [row for row in others if _beats(first, row, column)]
    known = [row for row in others if row not in won and _errors_known(first, row, column)]
    unknown = [row.label for row in others if row not in won and row not in known]
    parts = [f"{first.label} beats {listed([row.label for row in won])}"] if won else []
    if known:
        apart = listed([f"{row.label} ({_printed(first, row, column)})" for row in known])
        parts.append(f"between {first.label} and {apart} the difference does not exclude 0")
    if unknown:
        parts.append(f"between {first.label} and {listed(unknown)} nothing is claimed, an error is not known")
    return f"{'; '.join(parts)}. {_basis([first, *others])}"


def _scored(table: "Table") -> list["Row"]:
    """The ranked rows that have a headline value, best first."""
    return [row for row in table.models if row.cells[table.headline.key].reading.value is not None]


def _beats(one: "Row", other: "Row", column: Column) -> bool:
    return column.better is not None and beats(
        one.cells[column.key].reading, other.cells[column.key].reading, column.better
    )


def _errors_known(one: "Row", other: "Row", column: Column) -> bool:
    return None not in (one.cells[column.key].reading.known_error, other.cells[column.key].reading.known_error)


def _printed(one: "Row", other: "Row", column: Column) -> str:
    mine, its = one.cells[column.key], other.cells[column.key]
    found = difference(its.reading, mine.reading)
    return printed_difference(column, found, mine.places) if found else ""


def printed_difference(column: Column, found: Difference, places: int) -> str:
    """``0.31 ± 0.40``, to two digits of the error, so that it shows which is larger; two costs have no error."""
    half = None if COST in column.groups else found.half_width
    if half:
        places = max(places, min(4, 1 - math.floor(math.log10(half))))
    value = column.text(found.value, places)
    return value if half is None else f"{value} ± {column.text(half, places)}"


def _basis(rows: Sequence["Row"]) -> str:
    """What the intervals of these differences hold."""
    seeds = sorted({len(row.trials.finished) for row in rows})
    if seeds == [1]:
        return "Every interval is conditional on the one training seed of each model: another seed may turn the order."
    if seeds[0] == 1:
        return "Where a model has one seed only, the interval is conditional on that training."
    return "Intervals are Welch's, over training seeds."


def legend(table: "Table") -> str:
    """What ± and bold mean in this table."""
    meant = "± standard error within one checkpoint"
    if any(len(row.trials.finished) > 1 for row in table.rows):
        meant = (
            "± half the 95 % Student interval over training seeds; of one seed alone, the standard error within "
            "that checkpoint"
        )
    return (
        f"↓ lower, ↑ higher is better · {meant} · bold: beaten by no other "
        "(the 95 % interval of the difference would have to exclude 0)"
    )
