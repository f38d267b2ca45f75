"""One suite, one results folder: train what is not trained, sample and measure what is not measured, tell.

>>> import genzoo
>>> results = genzoo.bench("quickstart")  # doctest: +SKIP
>>> print(results.table())  # doctest: +SKIP

Everything that a suite names is checked before anything is trained. A run that fails later becomes a row with its
reason and does not stop the others.
"""

import fnmatch
import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from genzoo import scoring
from genzoo.benchmark import dry, side_by_side, store, text
from genzoo.benchmark.dry import DryRun
from genzoo.benchmark.report import render
from genzoo.benchmark.table import build
from genzoo.config import SampleConfig
from genzoo.data import Data, load
from genzoo.drawing import Drawing
from genzoo.errors import Interrupted, InvalidConfig, StorageError, UnknownName
from genzoo.evaluation import Record, seal, write_record
from genzoo.jobs import Job, execute, prepare
from genzoo.regimes import preview
from genzoo.run import Run
from genzoo.suites import Fairness, Plan, Suite, Table, expand, fairness, load_suite
from genzoo.training import Upkeep
from genzoo.zoo import Zoo

__all__ = ["DryRun", "Results", "bench", "compare", "report"]


@dataclass(frozen=True)
class Results:
    """What a suite came to: its records, and the report that was written."""

    records: tuple[Record, ...]
    report: Path

    @property
    def failed(self) -> int:
        """The number of rows that failed."""
        return sum(record.status != "ok" for record in self.records)

    def table(self) -> str:
        """The tables as text, as wide as the terminal."""
        return text.to_text(build(self.records))

    __str__ = table


def bench(
    suite: str | Path = "quickstart",
    out: str | Path | None = None,
    overrides: Sequence[str] = (),
    only: str | None = None,
    *,
    progress: bool = True,
) -> Results | DryRun:
    """Run a suite into ``out`` (``results/<suite>`` by default) and write its report there; finished work is kept.

    A suite's ``dry_run`` takes two steps of every training instead: see :mod:`genzoo.benchmark.dry`.

    Args:
        suite: A shipped suite's name or the path of a ``.yaml`` file.
        out: The results folder.
        overrides: Such as ``tables.0.budget=60s``.
        only: Only the models whose name matches this pattern, such as ``ddpm*``.
        progress: Tell on standard error what is being done.

    Raises:
        GenZooError: a wrong request, before any work; or the disk is full; or training was interrupted.
    """
    loaded = load_suite(suite, overrides)
    folder = Path(out) if out else Path("results") / loaded.name
    store.check_output(folder)
    work = _Work(Zoo.load(), folder, print_progress if progress else _silent, progress)
    if loaded.dry_run:
        plans = [(table, plan) for table, plans in _chosen(loaded, only) for plan in plans]
        return dry.run(plans, folder, work.zoo, work.tell)
    tables = [
        _Planned(table, load(table.data, size=table.size), plans, fairness(loaded, table))
        for table, plans in _chosen(loaded, only)
    ]
    work.check(tables)
    records = [record for planned in tables for record in work.run(planned)]
    return Results(tuple(records), render(folder))


def report(folder: str | Path) -> Path:
    """Write the report of a results folder; returns the page's path."""
    return render(Path(folder))


def compare(folder: str | Path, other: str | Path) -> tuple[str, Path]:
    """Two results folders side by side: what a terminal prints, and the page that was written into the first."""
    return side_by_side.write(Path(folder), Path(other))


class _Standing(NamedTuple):
    """In what role a row stands in its table, and under which regimes: a reference has none to keep to."""

    role: Literal["model", "reference"]
    regimes: Fairness

    @classmethod
    def of(cls, plan: Plan, asked: Fairness) -> "_Standing":
        return cls(plan.run.role, dict(asked) if plan.run.role == "model" else {})

    def given_to(self, record: Record, folder: Path) -> Record:
        """The record with this standing; written again where it had another."""
        if self == (record.role, record.regimes):
            return record
        sealed = seal(record.model_copy(update=self._asdict()))
        write_record(folder / store.RECORD, sealed)
        return sealed

    def against(self, other: "_Standing", plan: Plan) -> str:
        """Why one training, whose samples have one record, cannot stand in both ways."""
        if self.role != other.role:
            told = f"two rows of different roles ({self.role} and {other.role})"
        else:
            regimes = " and ".join(", ".join(each.regimes) or "none" for each in (self, other))
            told = f"two tables of different regimes ({regimes})"
        return f"{plan.train.model} on {plan.train.data} stands in {told}: put one of them into a suite of its own"


def print_progress(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    pass


def _chosen(suite: Suite, only: str | None) -> list[tuple[Table, list[Plan]]]:
    tables = list(zip(suite.tables, expand(suite), strict=True))
    if only is None:
        return tables
    chosen = [(table, [p for p in plans if fnmatch.fnmatch(p.train.model, only)]) for table, plans in tables]
    if not any(plans for _, plans in chosen):
        raise UnknownName("pattern", only, {p.train.model for _, plans in tables for p in plans}, "or a * of them")
    return [(table, plans) for table, plans in chosen if plans]


@dataclass(frozen=True)
class _Planned:
    """A table of a suite with its data."""

    table: Table
    data: Data
    plans: list[Plan]
    fairness: Fairness

    def asked_of_references(self) -> list[SampleConfig]:
        """As many samples of each reference as of models."""
        asked = dict.fromkeys(config.num_samples for plan in self.plans for config in plan.samples)
        return [SampleConfig(num_samples=num, extractor=self.table.extractor) for num in asked]


@dataclass(frozen=True)
class _Work:
    """Where results go and how it is told."""

    zoo: Zoo
    out: Path
    tell: Callable[[str], None]
    bars: bool

    def check(self, tables: Sequence[_Planned]) -> None:
        """Raise now what would be a wrong request later; tell now who will break a table's regime."""
        standings: dict[Path, _Standing] = {}
        for planned in tables:
            name = scoring.extractor_name(planned.data, planned.table.extractor)
            if extractor := scoring.load_extractor(name, zoo=self.zoo):
                channels, height, width = planned.data.shape
                extractor.check_shape((channels, height, width))
            for plan in planned.plans:
                standing = _Standing.of(plan, planned.fairness)
                for folder in self._folders(plan, planned.data):
                    if standings.setdefault(folder, standing) != standing:
                        raise InvalidConfig(standings[folder].against(standing, plan))
        for planned in tables:
            if "equal-parameters" in planned.fairness:
                self._warn_of_sizes(planned)

    def _warn_of_sizes(self, planned: _Planned) -> None:
        ranked = [plan for plan in planned.plans if plan.run.role == "model"]
        sizes = {name: size for plan in ranked for name, size in self._sizes(plan, planned.data).items()}
        for name, reason in preview(sizes, planned.fairness["equal-parameters"]).items():
            self.tell(f"warning: {name} will not be ranked: {reason}")

    def _sizes(self, plan: Plan, data: Data) -> dict[str, int]:
        """How many parameters each sampler of a plan needs; samplers that need as many are one row of the median."""
        job = prepare(self.zoo, plan.train, data)
        name = " ".join([plan.train.model, *(f"{key}={value}" for key, value in plan.train.model_options.items())])
        found: dict[int, str] = {}
        for drawing in self._drawings(job, plan):
            with suppress(Exception):  # what cannot draw fails later, in its own row
                size = drawing.parameters(job.model)
                found.setdefault(size, f"{name} seed={plan.train.seed} · {drawing.config.sampler}")
        return {name: size for size, name in found.items()}

    def _folders(self, plan: Plan, data: Data) -> list[Path]:
        """Where the sample sets of a plan are kept; raises where it cannot be carried out."""
        job = prepare(self.zoo, plan.train, data)
        return [self._folder(job, config) for config in self._samplings(job, plan)]

    def _drawings(self, job: Job, plan: Plan) -> list[Drawing]:
        return [scoring.resolve(self.zoo, job.model, plan.train, job.data, config) for config in plan.samples]

    def _samplings(self, job: Job, plan: Plan) -> list[SampleConfig]:
        return [drawing.config for drawing in self._drawings(job, plan)]

    def _folder(self, job: Job, config: SampleConfig) -> Path:
        return scoring.folder_of(self.zoo, self.out / job.id, job.id, config)

    def run(self, planned: _Planned) -> list[Record]:
        """The records of one table: the references, then every run."""
        records = []
        if planned.table.references:
            asked = itertools.product(scoring.REFERENCES, planned.asked_of_references())
            records += [self._reference(role, planned.data, config) for role, config in asked]
        for plan in planned.plans:
            records += self._row(plan, planned)
        return records

    def _reference(self, role: scoring.Reference, data: Data, config: SampleConfig) -> Record:
        folder = scoring.reference_folder(role, data, config, self.out)
        entry = store.find_samples(self.out, folder.parent.parent.name, folder.name)
        return entry.record if entry is not None else scoring.reference(role, data, config, self.out)

    def _row(self, plan: Plan, planned: _Planned) -> list[Record]:
        """One training and its sample sets."""
        job = prepare(self.zoo, plan.train, planned.data)
        samplings = self._samplings(job, plan)
        try:
            run = self._trained(job)
        except (Interrupted, StorageError):
            raise
        except Exception as error:
            records = [self._failed(job, config, error) for config in samplings]
        else:
            records = [self._sampled(job, run, config) for config in samplings]
        folders = [self._folder(job, config) for config in samplings]
        standing = _Standing.of(plan, planned.fairness)
        return [standing.given_to(*row) for row in zip(records, folders, strict=True)]

    def _trained(self, job: Job) -> Run:
        folder = self.out / job.id
        done = store.find_training(self.out, job.id)
        self.tell(
            f"{job.config.model} on {job.data.name}: {'trained before' if done else f'training, {job.config.budget}'}"
        )
        execute(job, folder, Upkeep(resume=True, progress=self.bars))
        run = Run.open(folder)
        run.data, run.zoo = job.data, self.zoo  # loaded once for the whole table
        return run

    def _sampled(self, job: Job, run: Run, config: SampleConfig) -> Record:
        entry = store.find_samples(self.out, job.id, self._folder(job, config).name)
        if entry is not None:
            return entry.record
        self.tell(f"  drawing {config.num_samples:,} samples with {config.sampler}")
        try:
            return run.score(config)
        except (Interrupted, StorageError):
            raise
        except Exception as error:
            return self._failed(job, config, error)

    def _failed(self, job: Job, config: SampleConfig, error: Exception) -> Record:
        record = scoring.failed(job.config, config, job.data, error)
        self.tell(f"  failed: {record.reason}")
        write_record(self._folder(job, config) / store.RECORD, record)
        return record
