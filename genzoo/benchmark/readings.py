"""What records say in a column, over training seeds, and when one number may be said to beat another.

Over several training seeds a value is their mean, and its 95 % interval is Student's: the scatter between seeds holds
everything that makes trainings differ. After one training there is only the standard error within that checkpoint, and
whatever follows from it is conditional on that one seed.

Reference: The Generalization of 'Student's' Problem when Several Different Population Variances are Involved (Welch,
1947).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genzoo.evaluation.intervals import student
from genzoo.evaluation.parts import Better


@dataclass(frozen=True)
class Reading:
    """A value with its standard error, what a perfect model would score there, or why there is none.

    With more than one of ``seeds``, value and error are those of their mean; ``df`` are the degrees of freedom of the
    error. Only readings of the same ``kind`` are ranked together; ``mark`` is printed before the value.
    """

    value: float | None
    se: float | None = None
    expected: float | None = None
    kind: str = ""
    mark: str = ""
    note: str = ""
    seeds: int = 1
    df: float = math.inf

    @property
    def known_error(self) -> float | None:
        """The standard error; None where there is none. One checkpoint that reports 0 has not measured any."""
        if self.se is None or self.se < 0 or (self.se == 0 and self.seeds == 1):
            return None
        return self.se

    @property
    def ranks(self) -> bool:
        """Whether values of this kind may be ranked at all: the ends of annealed importance sampling may not, for a
        forward run flatters the model and a reverse one bounds only from exact samples.
        """
        return "AIS" not in self.kind

    @property
    def half_width(self) -> float | None:
        """Half the 95 % interval, Student's; the normal one where the degrees of freedom are infinite."""
        error = self.known_error
        return None if error is None else student(self.df) * error


NOTHING = Reading(None)


@dataclass(frozen=True)
class Difference:
    """One value less another, with half its 95 % interval; None where an error is not known."""

    value: float
    half_width: float | None

    @property
    def excludes_zero(self) -> bool:
        return self.half_width is not None and abs(self.value) > self.half_width


def over_seeds(readings: Sequence[Reading]) -> Reading:
    """The mean of one reading a seed with its standard error; a single one is itself. What is beyond 1e100 is none."""
    readings = [_within(reading) for reading in readings]
    known = [reading for reading in readings if reading.value is not None]
    missing = next((reading.note for reading in readings if reading.value is None), "")
    if not known:
        return readings[0]
    if len({reading.kind for reading in known}) > 1:
        return Reading(None, note="no mean is taken: its seeds are of different kinds")
    values = [reading.value for reading in known if reading.value is not None]
    if len(values) == 1:
        return replace(known[0], note=missing or known[0].note)
    se = statistics.stdev(values) / math.sqrt(len(values))
    return replace(known[0], value=statistics.fmean(values), se=se, note=missing, seeds=len(values), df=len(values) - 1)


def _within(reading: Reading) -> Reading:
    """Numbers of other people can be as large as they like, and squares of those are not finite."""
    if reading.value is not None and abs(reading.value) > 1e100:
        return Reading(None, note="the value is beyond 1e100")
    return replace(reading, se=None) if reading.se is not None and reading.se > 1e100 else reading


def difference(one: Reading, other: Reading) -> Difference | None:
    """``one`` less ``other`` with Welch's interval, the normal one where both have infinite degrees of freedom.

    None where a value is missing or the two are of different kinds.
    """
    if one.value is None or other.value is None or one.kind != other.kind:
        return None
    value = one.value - other.value
    if math.isclose(one.value, other.value, rel_tol=1e-12):
        value = 0.0  # means of the same numbers may differ in their last digit
    if one.known_error is None or other.known_error is None:
        return Difference(value, None)
    error = math.hypot(one.known_error, other.known_error)
    return Difference(value, student(_welch(one, other)) * error)


def _welch(one: Reading, other: Reading) -> float:
    """Degrees of freedom after Welch and Satterthwaite."""
    errors = one.known_error or 0.0, other.known_error or 0.0
    whole = math.hypot(*errors)
    parts = [(error / whole) ** 2 if whole else 0.5 for error in errors]
    spread = sum(part**2 / reading.df for part, reading in zip(parts, (one, other), strict=True))
    return 1 / spread if spread else math.inf


def beats(one: Reading, other: Reading, better: Better) -> bool:
    """Whether ``one`` is better and the 95 % interval of the difference excludes 0."""
    found = difference(one, other) if one.ranks else None
    return found is not None and found.excludes_zero and (found.value < 0) == (better == "lower")
