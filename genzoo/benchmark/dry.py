"""Two steps of every training of a suite: does it build, does it fit, how large is it, how fast is it here?

Nothing is sampled or measured. What a suite is meant for may be another machine: batches are cut to eight examples, and
a data set that needs the hub is stood in for by generated pictures where the hub is out of reach. Beside the parameters
stand those of the paper, where the suite names one.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich import box
from rich.table import Table as Grid
from rich.text import Text

from genzoo.benchmark.store import DRY_RUN
from genzoo.benchmark.text import printed
from genzoo.config import Budget
from genzoo.data import Data, load
from genzoo.drawing import prepare_drawing
from genzoo.errors import DataUnavailable, Interrupted, StorageError
from genzoo.files import write_json
from genzoo.jobs import prepare
from genzoo.plugins import one_line, told
from genzoo.provenance import machine
from genzoo.suites import Plan, Table
from genzoo.training import fit
from genzoo.zoo import Zoo

BATCH, STAND_IN = 8, "shapes"
STEPS = Budget(2, "steps")


@dataclass(frozen=True)
class Size:
    """One training: its parameters (that sampling needs; of the model; with what training alone needs) and the paper's,
    floating-point operations of training per example, examples a second (while those are counted), and why it failed.
    """

    model: str
    data: str
    sampling: int | None = None
    total: int | None = None
    training: int | None = None
    paper: int | None = None
    title: str = ""
    ratio: float | None = None
    flops_per_example: float | None = None
    examples_per_second: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class DryRun:
    """What two steps of everything came to; ``report`` is a file of JSON."""

    sizes: tuple[Size, ...]
    report: Path

    @property
    def failed(self) -> int:
        """The number of trainings that did not take two steps."""
        return sum(bool(size.reason) for size in self.sizes)

    def table(self) -> str:
        """As text, as wide as the terminal."""
        grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
        for title, justify in COLUMNS.items():
            grid.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
        for size in self.sizes:
            if not size.reason:
                grid.add_row(*map(Text, _cells(size)))
        failures = [f"failed: {size.model} on {size.data}: {size.reason}" for size in self.sizes if size.reason]
        return printed([grid, *map(Text, failures)])

    __str__ = table


COLUMNS = {"model": "left", "data": "left", "parameters\nto sample": "right", "of the\nmodel": "right",
           "to train": "right", "the\npaper's": "right", "ratio": "right", "GFLOP per\nexample": "right",
           "examples\na second": "right"}  # fmt: skip


def _cells(size: Size) -> list[str]:
    ratio = "" if size.ratio is None else f"{size.ratio:.2f}"
    counts = [_millions(n) for n in (size.sampling, size.total, size.training, size.paper)]
    flops = f"{(size.flops_per_example or 0) / 1e9:.3g}"
    return [size.model, size.data, *counts, ratio, flops, f"{size.examples_per_second:,.3g}"]


def _millions(n: int | None) -> str:
    return "" if n is None else f"{n / 1e6:.3g}M"


def run(plans: Sequence[tuple[Table, Plan]], folder: Path, zoo: Zoo, tell: Callable[[str], None]) -> DryRun:
    """Two steps of each; what fails is a row with its reason."""
    sizes, names = [], dict.fromkeys((table.data, table.size) for table, _ in plans)
    loaded = {(name, size): _data(name, size, tell) for name, size in names}
    for table, plan in plans:
        data = loaded[table.data, table.size]
        tell(f"{plan.train.model} on {data.name}: two steps")
        sizes.append(_size(zoo, plan, data))
    write_json(folder / DRY_RUN, {"machine": machine(), "batch": BATCH, "sizes": [asdict(size) for size in sizes]})
    return DryRun(tuple(sizes), folder / DRY_RUN)


def _data(name: str, size: int | None, tell: Callable[[str], None]) -> Data:
    try:
        return load(name, size=size)
    except DataUnavailable as error:
        tell(f"note: {STAND_IN} stand in for {name}: {one_line(error)}")
        return load(STAND_IN, size=size)


def _size(zoo: Zoo, plan: Plan, data: Data) -> Size:
    paper = plan.run.paper
    known = Size(
        plan.train.model, data.name, paper=paper.parameters if paper else None, title=paper.title if paper else ""
    )
    try:
        return _measured(zoo, plan, data, known)
    except (Interrupted, StorageError):
        raise
    except Exception as error:
        return replace(known, reason=told(error))


def _measured(zoo: Zoo, plan: Plan, data: Data, known: Size) -> Size:
    batch = min(BATCH, plan.train.batch_size)
    config = plan.train.model_copy(update={"data": data.name, "budget": STEPS, "batch_size": batch})
    job = prepare(zoo, config, data)
    needed = prepare_drawing(zoo, job.model, config, data, plan.samples[0]).parameters(job.model)
    fitted = fit(job.model, job.trainer, data.train, config)
    paper, counts = plan.run.paper, {"sampling": needed, "total": fitted.parameters["total"]}
    return replace(
        known,
        ratio=counts[paper.counts] / paper.parameters if paper else None,
        sampling=needed,
        total=fitted.parameters["total"],
        training=fitted.parameters["training"],
        flops_per_example=fitted.flops / max(1, fitted.images_seen),
        examples_per_second=fitted.images_seen / fitted.seconds,
    )
