"""What a column of a table is: what it reads from a record, how it prints it, which end is better, what it means."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from genzoo.benchmark.readings import NOTHING, Reading
from genzoo.evaluation.intervals import NORMAL_95, degrees_of_freedom
from genzoo.evaluation.parts import Better, Metric
from genzoo.evaluation.record import Record
from genzoo.provenance import sampled_on, trained_on

TIMES = "\N{MULTIPLICATION SIGN}"
QUALITY, MEMORISATION, OTHER_RULES = "Fidelity and diversity", "Memorisation", "By other tools' rules"
COST, LIKELIHOOD = "Cost", "Likelihood"
TRAINING_IMAGES = Reading(None, note="memorisation is not measured, its samples are training images")
Read = Callable[[Record], Reading]


@dataclass(frozen=True)
class Column:
    """``write(size, places)`` prints a value without its sign; of columns that do not fit, the highest ``drop`` goes
    first.
    """

    key: str
    title: str
    help: str
    read: Read
    write: Callable[[float, int], str]
    better: Better | None = None
    drop: int = 0
    unit: str = ""
    groups: tuple[str, ...] = (QUALITY,)

    def text(self, value: float, places: int) -> str:
        """``value`` as it is printed; what rounds to nothing has no sign."""
        size = self.write(abs(value), places)
        return f"-{size}" if value < 0 and any(digit in size for digit in "123456789") else size


def fixed(value: float, places: int) -> str:
    """1234.5 as ``1,234.5``."""
    return f"{value:,.{places}f}"


def share(value: float, places: int) -> str:
    """0.912 as ``0.91``, whatever the rest of the column; 0.0031 as ``0.003``."""
    return f"{value:.2f}" if abs(value) >= 0.005 or value == 0 else f"{value:.1g}"


def percent(value: float, places: int) -> str:
    """0.912 as ``91.2 %``."""
    return f"{100 * value:.1f} %"


def whole(value: float, places: int) -> str:
    """8.0 as ``8``, the mean of several as ``7.7``."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def thousands(value: float, places: int = 0) -> str:
    """1,234,567 as ``1.23M``."""
    for limit, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def duration(value: float, places: int = 0) -> str:
    """Seconds as ``75 ms``, ``2.1 s``, ``58 s``, ``4.2 min`` or ``3.1 h``."""
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 90:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 5400 else f"{value / 3600:.1f} h"


def megabytes(value: float, places: int = 0) -> str:
    """1234.5 as ``1,234 MB``."""
    return f"{value:,.0f} MB"


def metric(key: str, scale: float = 1.0) -> Read:
    """Reads the metric of this name, times ``scale``."""
    return lambda record: as_reading(record.metrics.get(key), scale)


def unless_training(read: Read) -> Read:
    """``read``, but blank for training images in place of samples: of course these repeat the training set."""
    return lambda record: TRAINING_IMAGES if record.role == "ceiling" else read(record)


def beside(key: str) -> Read:
    """Reads the metric as the second extractor saw it; what different extractors saw is of different kinds."""

    def read(record: Record) -> Reading:
        if record.beside is None:
            return NOTHING
        seen = record.beside.extractor
        return as_reading(record.beside.metrics.get(key), kind=f"{seen.name}@{seen.hash[:8]}")

    return read


def as_reading(found: Metric | None, scale: float = 1.0, kind: str = "") -> Reading:
    """A metric's value, error and expectation."""
    if found is None:
        return NOTHING
    se, df = _error(found)
    expected = found.floor if found.expected is None else found.expected
    value, se, expected = (None if part is None else scale * part for part in (found.value, se, expected))
    return Reading(value, se, expected, kind, note=found.reason or "", df=df)


def _error(found: Metric) -> tuple[float | None, float]:
    """The standard error and its degrees of freedom, so that the interval is the record's; of an interval alone, that
    of a normal one as wide.
    """
    if found.interval is None:
        return found.se, math.inf
    half = (found.interval[1] - found.interval[0]) / 2
    return (found.se, degrees_of_freedom(half / found.se)) if found.se else (half / NORMAL_95, math.inf)


def divergence(record: Record) -> Reading:
    """KL from the data to the model; it comes from the likelihood, so it is of that likelihood's kind."""
    found = as_reading(record.metrics.get("kl"))
    kind = record.likelihood[0].kind if record.likelihood else ""
    return replace(found, kind=kind, mark=kind_mark(kind))


def likelihood(record: Record) -> Reading:
    """The first likelihood, which is the headline; nothing where it is not known."""
    if not record.likelihood or ends_apart(record):
        return NOTHING
    found = record.likelihood[0]
    return Reading(found.value, found.se, kind=found.kind, mark=kind_mark(found.kind), note=found.reason or "")


def ends_apart(record: Record) -> float:
    """How far the ends of annealed importance sampling lie apart, where the headline is one of them; 0 where they meet.

    They bracket log Z only where they meet, within 3 errors or 0.1.
    """
    ends = [found for end in ("forward", "reverse") for found in record.likelihood if f"(AIS, {end}" in found.kind]
    if len(ends) != 2 or record.likelihood[0] not in ends or any(end.value is None for end in ends):
        return 0.0
    low, high = sorted(end.value or 0.0 for end in ends)
    return high - low if high - low > max(0.1, 3 * math.hypot(*(end.se or 0.0 for end in ends))) else 0.0


def kind_mark(kind: str) -> str:
    """How a likelihood of this kind is written: ``≤`` where the truth is no higher, ``≈`` where it is near."""
    if not kind or kind.startswith("exact"):
        return ""
    return "≤ " if "bound" in kind else "≈ "


def of_training(name: str, *, timed: bool = False) -> Read:
    """Reads a cost of the training; ``timed`` where it depends on the machine: other machine, other kind."""
    return lambda record: _cost(getattr(record.training, name, None), trained_on(record) if timed else "")


def of_sampling(name: str) -> Read:
    """Reads what one sample cost; in calls and operations, which no machine changes."""
    return lambda record: _cost(getattr(record.sampling, name, None))


def sampling_memory(record: Record) -> Reading:
    """Peak memory while the samples were drawn."""
    return _cost(record.sampling.peak_memory_mb if record.sampling else None, sampled_on(record))


def seconds_per_thousand(record: Record) -> Reading:
    """Wall time of 1000 samples."""
    sampling = record.sampling
    if sampling is None or sampling.seconds is None or not sampling.n:
        return NOTHING
    return _cost(1000 * sampling.seconds / sampling.n, sampled_on(record))


def weights(part: str) -> Read:
    """Reads a number of parameters."""
    return lambda record: _cost(getattr(record.model.parameters, part, None))


def _cost(value: float | None, machine: str = "") -> Reading:
    return NOTHING if value is None else Reading(value, kind=machine)
