"""The columns of a table: what each reads from a record, how it is printed, which end is better, what it means."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from genzoo.evaluation.record import Better, Record
from genzoo.images import is_image

TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Reading:
    """What one record says in one column: a value, its standard error, what a perfect model would score there, or why
    there is none. Only readings of the same ``kind`` are ranked together.
    """

    value: float | None
    se: float | None = None
    expected: float | None = None
    kind: str = ""
    note: str = ""


NOTHING = Reading(None)


@dataclass(frozen=True)
class Column:
    """``write(value, places)`` prints a value; of columns that do not fit, the highest ``drop`` goes first."""

    key: str
    title: str
    help: str
    read: Callable[[Record], Reading]
    write: Callable[[float, int], str]
    better: Better | None = None
    drop: int = 0
    unit: str = ""


def fixed(value: float, places: int) -> str:
    """1234.5 as ``1,234.5``."""
    return f"{value:,.{places}f}"


def share(value: float, places: int) -> str:
    """0.912 as ``0.91``, whatever the rest of the column."""
    return f"{value:.2f}"


def percent(value: float, places: int) -> str:
    """0.912 as ``91.2 %``."""
    return f"{100 * value:.1f} %"


def whole(value: float, places: int) -> str:
    """8.0 as ``8``."""
    return f"{value:,.0f}"


def thousands(value: float, places: int = 0) -> str:
    """1,234,567 as ``1.23M``."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
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


def _metric(key: str, scale: float = 1.0) -> Callable[[Record], Reading]:
    def read(record: Record) -> Reading:
        found = record.metrics.get(key)
        if found is None:
            return NOTHING
        expected = found.floor if found.expected is None else found.expected
        value, se, expected = (None if part is None else scale * part for part in (found.value, found.se, expected))
        return Reading(value, se, expected, note=found.reason or "")

    return read


def _likelihood(record: Record) -> Reading:
    found = record.likelihood
    return Reading(found.value, found.se, kind=found.kind, note=found.reason or "") if found else NOTHING


def _calls(record: Record) -> Reading:
    return Reading(record.sampling.calls_per_sample) if record.sampling else NOTHING


def _seconds_per_thousand(record: Record) -> Reading:
    sampling = record.sampling
    if sampling is None or sampling.seconds is None or not sampling.n:
        return NOTHING
    return Reading(1000 * sampling.seconds / sampling.n)


def _training_seconds(record: Record) -> Reading:
    return Reading(record.training.seconds) if record.training else NOTHING


def _weights(record: Record) -> Reading:
    parameters = record.model.parameters
    return Reading(parameters.generator) if parameters else NOTHING


def kind_mark(kind: str) -> str:
    """How a likelihood of this kind is written: ``≤`` where the truth is no higher, ``≈`` where it is near."""
    if kind in ("", "exact"):
        return ""
    return "≤ " if "bound" in kind else "≈ "


CALLS = Column(
    "calls",
    "calls per sample",
    "Passes through the network for one sample, counted by the host: every Langevin step, every corrector and both "
    "halves of guidance count.",
    _calls,
    thousands,
    drop=1,
)
SAMPLING = Column(
    "sampling_seconds",
    "time per 1000",
    "Wall time of drawing 1000 samples on the machine named at the top.",
    _seconds_per_thousand,
    duration,
    drop=5,
    unit="seconds",
)
TRAINING = Column(
    "training_seconds",
    "training time",
    "Wall time of the training loop on that machine.",
    _training_seconds,
    duration,
    drop=4,
    unit="seconds",
)
PARAMETERS = Column(
    "parameters",
    "weights",
    "Number of weights that are needed to sample; a critic that only helps to train is not among them.",
    _weights,
    thousands,
    drop=6,
)
COST = (CALLS, SAMPLING, TRAINING, PARAMETERS)

LIKELIHOOD = (
    "How well the model predicts data it has not seen: negative log-likelihood of the test split. Exact values, upper "
    "limits (≤, from a lower bound on the likelihood) and estimates (≈) are never ranked together; a model without a "
    "likelihood, such as a GAN, has none."
)


IMAGE_METRICS = (
    Column(
        "fd_debiased",
        "FD debiased",
        "The headline. Distance between the Gaussians fitted to the features of generated and of test images, "
        "corrected for the bias of a finite sample: 2 FD(N) less the mean of two halves. A "
        "perfect model scores about 0, and may fall just below it.",
        _metric("fd_debiased"),
        fixed,
        "lower",
    ),
    Column(
        "fd",
        "FD",
        "The same distance uncorrected, as most papers print it: it never reaches 0, and shrinks as N grows.",
        _metric("fd"),
        fixed,
        "lower",
        drop=8,
    ),
    Column(
        "kid",
        f"KID {TIMES}1000",
        "Kernel distance: squared maximum mean discrepancy of the same features with a cubic kernel, unbiased.",
        _metric("kid", 1000),
        fixed,
        "lower",
        drop=3,
    ),
    Column(
        "precision",
        "precision",
        "Share of generated images that fall among the real ones: fidelity. Blurred or broken samples lower it.",
        _metric("precision"),
        share,
        "higher",
    ),
    Column(
        "recall",
        "recall",
        "Share of real images that fall among the generated ones: diversity. Dropped modes lower it.",
        _metric("recall"),
        share,
        "higher",
    ),
    Column(
        "density",
        "density",
        "Precision that an outlier among the real images cannot inflate; 1 for a perfect model, and can exceed it.",
        _metric("density"),
        share,
        "higher",
        drop=9,
    ),
    Column(
        "coverage",
        "coverage",
        "Share of real images with a generated one nearer than their fifth real neighbour.",
        _metric("coverage"),
        share,
        "higher",
        drop=7,
    ),
    Column("likelihood", "bits/dim", LIKELIHOOD, _likelihood, fixed, "lower", drop=2),
)

POINT_METRICS = (
    Column(
        "mmd2",
        f"MMD² {TIMES}1000",
        "The headline. Squared maximum mean discrepancy between generated and true points, unbiased, with bandwidths "
        "fixed by the data set. A perfect model scores about 0, and may fall just below it.",
        _metric("mmd2", 1000),
        fixed,
        "lower",
    ),
    Column(
        "modes_covered",
        "modes covered",
        "Modes that hold at least 20 % of the samples that are due to them.",
        _metric("modes_covered"),
        whole,
        "higher",
    ),
    Column(
        "good_points",
        "good points",
        "Share of samples inside the true distribution's 99 % highest-density region: 99 % for a perfect model.",
        _metric("good_points"),
        percent,
        "higher",
    ),
    Column(
        "mode_tv",
        "mode imbalance",
        "Total variation distance between the shares of the modes, generated against true: 0 is balanced.",
        _metric("mode_tv"),
        share,
        "lower",
        drop=7,
    ),
    Column(
        "sliced_w2",
        "sliced W₂",
        "Wasserstein distance averaged over directions: how far points must move, in standard deviations of the data.",
        _metric("sliced_w2"),
        fixed,
        "lower",
        drop=3,
    ),
    Column("likelihood", "nats", LIKELIHOOD, _likelihood, fixed, "lower", drop=2),
)


def columns(record: Record) -> tuple[Column, ...]:
    """The columns for records like this one; the first is the headline that ranks them.

    Only features of Inception give a number that is called FID.
    """
    if not is_image(record.data.shape):
        return (*POINT_METRICS, *COST)
    literature = record.extractor is not None and record.extractor.literature_comparable
    return (*(map(_as_fid, IMAGE_METRICS) if literature else IMAGE_METRICS), *COST)


def _as_fid(column: Column) -> Column:
    return replace(column, title=column.title.replace("FD", "FID"), help=column.help.replace("FD", "FID"))
