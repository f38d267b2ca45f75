"""A column's printed values: as many places as their errors allow, and bold where a lead is shown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genzoo.benchmark.columns import COST, Column
from genzoo.benchmark.labels import plain
from genzoo.benchmark.readings import Reading, beats
from genzoo.evaluation.parts import Better

NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """A printed value, its printed error and how many seeds they rest on; ``sort`` orders the column, kinds that must
    not be compared kept apart.
    """

    value: str
    reading: Reading
    places: int
    error: str = ""
    seeds: str = ""
    best: bool = False

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.value, self.error, self.seeds) if part)

    @property
    def sort(self) -> tuple[str, float] | None:
        value = self.reading.value
        return None if value is None else (self.reading.kind, value)

    @property
    def hint(self) -> str:
        """The error and kind of the value, or why there is none."""
        reading = self.reading
        error = ""
        if reading.seeds > 1:
            error = f"± {reading.half_width:.2g} (95 % interval over {reading.seeds} training seeds)"
        elif reading.known_error:
            error = f"± {reading.se:.2g} (standard error within one checkpoint)"
        return ", ".join(part for part in (error, plain(reading.kind), plain(reading.note, 300)) if part)


def printed(column: Column, readings: Sequence[Reading], trials: Sequence[int], sized_by: Sequence[int]) -> list[Cell]:
    """One cell a reading; ``trials`` counts the seeds of each row, or is empty where seeds are not told.

    ``sized_by`` are the places of those readings whose size decides how many digits the column has.
    """
    costs = COST in column.groups
    places = _places([readings[i] for i in sized_by] or readings, by_error=not costs)
    cells = [Cell(_value(column, r, places), r, places, "" if costs else _error(column, r, places)) for r in readings]
    if not trials or max(trials) < 2:
        return cells
    return [replace(cell, seeds=_seeds(cell.reading, n)) for cell, n in zip(cells, trials, strict=True)]


def leaders(column: Column, cells: Sequence[Cell]) -> list[Cell]:
    """The cells that no other of their kind beats, where some are beaten; nothing is said of a value without error."""
    found: list[Cell] = []
    for kind in {cell.reading.kind for cell in cells} if column.better else ():
        field = [cell for cell in cells if cell.reading.kind == kind and cell.reading.known_error is not None]
        unbeaten = [cell for cell in field if not _beaten(cell, field, column.better)]
        found += unbeaten if len(unbeaten) < len(field) else []
    return found


def _beaten(cell: Cell, field: Sequence[Cell], better: Better | None) -> bool:
    return better is not None and any(beats(other.reading, cell.reading, better) for other in field)


def printed_error(reading: Reading) -> float | None:
    """What stands after ±: half the 95 % interval over seeds, the standard error within one checkpoint."""
    return reading.half_width if reading.seeds > 1 else reading.known_error


def _places(readings: Sequence[Reading], *, by_error: bool) -> int:
    """Decimal places for a whole column: one digit of the smallest error, else three of the smallest value."""
    errors = [error for reading in readings if (error := printed_error(reading))] if by_error else []
    sizes = errors or [abs(reading.value) for reading in readings if reading.value]
    if not sizes:
        return 2
    return min(3, max(0, (0 if errors else 2) - math.floor(math.log10(min(sizes)))))


def _value(column: Column, reading: Reading, places: int) -> str:
    return NONE if reading.value is None else reading.mark + column.text(reading.value, places)


def _error(column: Column, reading: Reading, places: int) -> str:
    error = printed_error(reading)
    return "" if reading.value is None or error is None else f"± {column.text(error, places)}"


def _seeds(reading: Reading, trials: int) -> str:
    if reading.value is None:
        return ""
    counted = f"{reading.seeds} of {trials}" if reading.seeds < trials else str(trials)
    return f"({counted} seed{'s' if trials != 1 else ''})"
