"""A record for people: every number with its error, what a perfect model would score, and what it means."""

from collections.abc import Iterable, Iterator, Mapping

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from genzoo.evaluation.parts import Likelihood, Metric, ReferencePart, SamplingPart
from genzoo.evaluation.record import Record

WIDTH, TINY = 120, 1e-9
ARROWS = {"lower": "↓", "higher": "↑"}
MEANINGS = {
    "fd": "Fréchet distance, bias ~ 1/N",
    "fd_debiased": "fd without its bias: rank by this",
    "fd_train": "fd to as many training images",
    "fd_gap": "fd - fd_train: above floor, copying",
    "kid": "kernel distance, unbiased",
    "precision": "samples that look real",
    "recall": "real images in the samples' reach",
    "density": "how densely real, 1 is right",
    "coverage": "real images with a sample nearby",
    "precision_k3": "the same by other programs' rule",
    "recall_k3": "the same by other programs' rule",
    "auth_pct": "samples that are no copies",
    "copy_rate": "samples close to training images",
    "nearest_train_z": "well below 0: copying",
    "exact_duplicates": "samples equal to a training image",
    "unique": "distinct samples",
    "vendi": "effective number of distinct ones",
    "class_distance": "shares of the classes, how far off",
    "class_accuracy": "samples of the class asked for",
    "sliced_w2": "Wasserstein distance, 512 directions",
    "modes_covered": "modes that hold enough points",
    "good_points": "points where the true density is high",
    "mode_tv": "shares of the modes, how far off",
    "mmd2": "kernel distance, unbiased",
    "energy_distance": "energy distance, unbiased",
    "kl": "KL(data || model)",
}
"""What each number says, shares as such; of a plugin's metric it says how it was made."""


def summary(record: Record) -> str:
    """The record as wide as the terminal and in its styles; plain and 120 columns wide where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    with console.capture() as captured:
        console.print(_page(record))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _page(record: Record) -> RenderableType:
    parts: list[RenderableType] = [Text(line, style="bold" if not i else "") for i, line in enumerate(_head(record))]
    if record.reason:
        parts.append(Text(f"failed: {record.reason}", style="red"))
    if record.metrics:
        parts += [Text(), _metrics(record)]
    parts += [Text(), *map(Text, _likelihoods(record.likelihood))]
    parts += [Text(line, style="dim") for line in (*_costs(record), *_protocol(record))]
    return Group(*parts, *(Text(f"note: {warning}", style="yellow") for warning in record.warnings))


def _head(record: Record) -> Iterator[str]:
    data, sampling = record.data, record.sampling
    yield f"{record.model.name} against {data.name}, {data.split}"
    drawn = f"{sampling.n:,} samples{_by(sampling)}" if sampling else "no samples"
    shape = "x".join(map(str, data.shape))
    real = f"{data.n:,} real {'points' if len(data.shape) == 1 else f'images of {shape}'}" if data.n else "moments"
    yield f"{drawn}, {real}"


def _by(sampling: SamplingPart) -> str:
    if sampling.calls_per_sample is None:
        return ""
    guidance = {} if sampling.guidance is None else {"guidance": f"{sampling.guidance:g}"}
    options = ", ".join(f"{key}={value}" for key, value in {**sampling.options, **guidance}.items())
    return f" by {sampling.sampler}{f' ({options})' if options else ''}"


def _metrics(record: Record) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    beside = record.beside.metrics if record.beside else {}
    floors = any(metric.floor is not None for metric in record.metrics.values())
    first = record.extractor.name if record.extractor else "value"
    titles = ["metric", f"{first} ± se", "95 % interval", "perfect", *(["floor"] if floors else [])]
    titles += [f"by {record.beside.extractor.name}"] if record.beside else []
    for title in titles:
        grid.add_column(title, no_wrap=True, justify="left" if title == "metric" else "right")
    grid.add_column("what it says")
    for name, metric in record.metrics.items():
        cells = [f"{name} {ARROWS[metric.better]}", *_values(metric), *([_number(metric.floor)] if floors else [])]
        cells += [_number(beside[name].value) if name in beside else ""] if record.beside else []
        grid.add_row(*map(Text, cells), Text(metric.reason or MEANINGS.get(name, metric.how), style="dim"))
    return grid


def _values(metric: Metric) -> tuple[str, str, str]:
    value = "failed" if metric.value is None else _number(metric.value, digits=4)
    error = "" if metric.se is None else f" ± {metric.se:.2g}"
    interval = "" if metric.interval is None else " .. ".join(map(_number, metric.interval))
    return value + error, interval, _number(metric.expected)


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}g}" if abs(value) > TINY else "0"


def _likelihoods(found: Iterable[Likelihood]) -> Iterator[str]:
    for one in found:
        if one.value is None:
            yield f"likelihood: {one.reason}"
        else:
            error = "" if one.se is None else f" ± {one.se:.2g}"
            calls = "" if one.calls is None else f", {_calls(one.calls)} each"
            yield f"{one.value:.4g}{error} {one.unit}, {one.kind}, of {one.n:,} test examples{calls}"


def _costs(record: Record) -> Iterator[str]:
    if parameters := record.model.parameters:
        yield f"parameters: {parameters.generator:,} to sample, {parameters.total:,} in all"
    if training := record.training:
        yield "training: " + _joined(
            f"{training.images_seen:,} images in {training.seconds:,.1f} s",
            training.flops and f"{_si(training.flops)}FLOP",
            training.peak_memory_mb and f"{training.peak_memory_mb:,.0f} MB",
        )
        yield from _references(training.references)
    if (sampling := record.sampling) and sampling.seconds is not None:
        yield "sampling: " + _joined(
            sampling.calls_per_sample is not None and f"{_calls(sampling.calls_per_sample)} a sample",
            sampling.flops_per_sample and f"{_si(sampling.flops_per_sample)}FLOP a sample",
            f"{sampling.seconds:,.1f} s for {sampling.n:,}",
            sampling.peak_memory_mb and f"{sampling.peak_memory_mb:,.0f} MB",
        )
        yield from _references(sampling.references)


def _references(parts: Mapping[str, ReferencePart] | None) -> Iterator[str]:
    for key, part in (parts or {}).items():
        yield f"{key}: {part.model} ({part.id[:40]}), trained in {part.seconds:,.1f} s"


def _calls(number: float) -> str:
    return f"{number:,.4g} call{'s' * (number != 1)}"


def _joined(*parts: str | float | bool | None) -> str:
    return ", ".join(str(part) for part in parts if part)


def _si(number: float) -> str:
    for exponent, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= 10**exponent:
            return f"{number / 10**exponent:.3g} {prefix}"
    return f"{number:.3g} "


def _protocol(record: Record) -> Iterator[str]:
    seen = [part for part in (record.extractor, record.beside and record.beside.extractor) if part]
    extractors = "".join(f", {part.name}@{part.hash[:8]}" for part in seen)
    comparable = " (as published FIDs are)" if seen and seen[0].literature_comparable else ""
    data = record.data.fingerprint[:8]
    yield f"protocol {record.protocol}, data {data}{extractors}{comparable}, record {record.id[:8]}"
