"""Benchmarks as data: a suite is tables of runs, written in YAML.

OmegaConf reads and overrides them (``1e-3`` is a number), then every key is checked.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from yaml import YAMLError

from genzoo.config import (
    BudgetText,
    Checked,
    Norm,
    Precision,
    Regime,
    SampleConfig,
    Seed,
    Share,
    TrainConfig,
    Weight,
    checked,
)
from genzoo.errors import InvalidConfig, UnknownName
from genzoo.settings import plain, split

SUITE_FOLDERS = (
    Path(__file__).parent / "benchmark" / "suites",  # in an installed package
    Path(__file__).parent.parent / "benchmarks" / "suites",  # in a checkout
)
TARGETS: dict[str, Regime] = {"parameters": "equal-parameters", "calls": "equal-calls"}
"""The key that says how much there is to be of what a regime makes equal; a budget says how much training."""

_THOUSANDS = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9}


def _name_of_sampler(value: Any) -> Any:
    return {"sampler": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _read_size(value: Any) -> Any:
    """A number of parameters from its text, such as 250k or 1.5M."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)([kMB]?)", value.strip(), re.ASCII)
    if match is None:
        raise ValueError(f"{value!r} is no number of parameters: write it as 250k, 1.5M or 1500000")
    return round(float(match[1]) * _THOUSANDS[match[2]])


class LoopSettings(Checked):
    """How to train: a run takes what it does not say from its table, a table from its suite."""

    budget: BudgetText | None = None
    batch_size: PositiveInt | None = None
    ema: Share | None = None
    clip: Norm | None = None
    warmup: Share | None = None
    precision: Precision | None = None


class SamplerChoice(Checked):
    """A sampler and its options, ``num_samples`` the table's by default; in YAML a name alone will do.

    A conditional model's labels are followed as strongly as ``guidance`` says, by the ``classifier`` if there is one.
    """

    sampler: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    num_samples: PositiveInt | None = None
    guidance: Weight | None = None
    classifier: str | dict[str, Any] | None = None


NamedSampler = Annotated[SamplerChoice, BeforeValidator(_name_of_sampler)]


class Paper(Checked):
    """What the authors of a model say of it, and where: a dry run puts its parameters beside ours.

    They count the whole model, or (``sampling``, as of a GAN's generator) what is needed to sample.
    """

    title: str
    parameters: Annotated[PositiveInt, BeforeValidator(_read_size)]
    counts: Literal["total", "sampling"] = "total"


class SuiteRun(LoopSettings):
    """A row of a table: what to train, and every sampler to try on it.

    A ``reference`` is shown beside the models and not ranked: it has nothing to keep to. ``seeds`` are the suite's by
    default.
    """

    model: str
    seeds: list[Seed] | None = Field(default=None, min_length=1)
    set: dict[str, Any] = Field(default_factory=dict)
    trainer: str | None = None
    trainer_set: dict[str, Any] = Field(default_factory=dict)
    samplers: list[NamedSampler] = Field(default_factory=lambda: [SamplerChoice()], min_length=1)
    role: Literal["model", "reference"] = "model"
    paper: Paper | None = None


class FairSettings(LoopSettings):
    """What the rows of a table have to have in common, measured (:mod:`genzoo.regimes`): a table's come first.

    ``regime`` is one or several; ``parameters`` (that sampling needs) and ``calls`` (a sample) say how many where one
    makes them equal; by default it is the table's median.
    """

    regime: Annotated[tuple[Regime, ...], BeforeValidator(_listed)] | None = None
    parameters: Annotated[PositiveInt, BeforeValidator(_read_size)] | None = None
    calls: PositiveFloat | None = None


class Table(FairSettings):
    """Runs that are compared on one data set; ``references`` adds the rows ``gaussian`` and ``train-vs-test``."""

    data: str
    size: PositiveInt | None = None
    num_samples: PositiveInt | None = None
    extractor: str | None = None
    references: bool = True
    runs: list[SuiteRun]


class Suite(FairSettings):
    """A benchmark: tables, each run once a seed; a ``dry_run`` takes two steps of each and measures nothing."""

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]*$")]  # it names a folder
    title: str = ""
    description: str = ""
    dry_run: bool = False
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    tables: list[Table] = Field(min_length=1)


Fairness = Mapping[Regime, float | None]
"""What a table's rows have to have in common, and how much of it: None is as much as its median row."""


class Plan(NamedTuple):
    """One training and the sample sets that are drawn from it."""

    train: TrainConfig
    samples: list[SampleConfig]
    run: SuiteRun


def load_suite(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Suite:
    """A suite from a YAML file or, by a bare name, from those shipped; ``overrides`` such as ``tables.0.budget=60s``.

    Raises:
        UnknownName: no such suite.
        InvalidConfig: a file that cannot be read, an override or key that does not exist, a value of another type, or
            a target of a regime that is not asked for.
    """
    path = _find_suite(path_or_name)
    for override in overrides:
        split(override)
    try:
        config = OmegaConf.create(path.read_text(encoding="utf-8"))
        config.merge_with_dotlist(list(overrides))
    except (OSError, UnicodeError, YAMLError, OmegaConfBaseException, TypeError, AttributeError) as error:
        raise InvalidConfig(f"{path}: {' '.join(str(error).split())}") from error
    suite = checked(Suite, plain(config, str(path)), str(path))
    _check_targets(suite, path)
    return suite


def _check_targets(suite: Suite, path: Path) -> None:
    asked_by = [set(fairness(suite, table)) for table in suite.tables]
    levels: list[tuple[str, FairSettings, set[Regime]]] = [("", suite, set().union(*asked_by))]
    levels += [(f"tables.{i}.", table, asked_by[i]) for i, table in enumerate(suite.tables)]
    for where, level, asked in levels:
        for key, regime in TARGETS.items():
            if getattr(level, key) is not None and regime not in asked:
                raise InvalidConfig(f"{path}: {where}{key} is of regime {regime}, which is not asked for: leave it out")


def fairness(suite: Suite, table: Table) -> Fairness:
    """What is asked of one table's rows."""
    regimes = suite.regime if table.regime is None else table.regime
    return {regime: _target(suite, table, regime) for regime in regimes or ()}


def _target(suite: Suite, table: Table, regime: Regime) -> float | None:
    keys = [key for key, of in TARGETS.items() if of == regime]
    targets = [getattr(level, key) for key in keys for level in (table, suite)]
    return next((target for target in targets if target is not None), None)


def shipped_suites() -> dict[str, Path]:
    """The suites that come with the package, by name."""
    return {path.stem: path for folder in SUITE_FOLDERS for path in sorted(folder.glob("*.yaml"))}


def _find_suite(path_or_name: str | Path) -> Path:
    path = Path(path_or_name)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    if str(path_or_name) not in shipped_suites():
        raise UnknownName("suite", str(path_or_name), shipped_suites(), "or the path of a .yaml file")
    return shipped_suites()[str(path_or_name)]


def expand(suite: Suite) -> list[list[Plan]]:
    """The trainings of each of the suite's tables, every run once a seed.

    Raises:
        InvalidConfig: a run without a budget of its own, its table's or its suite's.
    """
    return [
        [_plan(suite, table, run, seed) for run in table.runs for seed in run.seeds or suite.seeds]
        for table in suite.tables
    ]


def _plan(suite: Suite, table: Table, run: SuiteRun, seed: int) -> Plan:
    loop = {key: value for level in (suite, table, run) for key in LoopSettings.model_fields
            if (value := getattr(level, key)) is not None}  # fmt: skip
    what = {"model": run.model, "model_options": run.set, "trainer": run.trainer, "trainer_options": run.trainer_set}
    where = f"suite {suite.name!r}, run {run.model!r} on {table.data!r}"
    train = checked(TrainConfig, {**what, **loop, "data": table.data, "size": table.size, "seed": seed}, where)
    samples = [
        SampleConfig(
            sampler=choice.sampler,
            options=choice.set,
            num_samples=choice.num_samples or table.num_samples,
            seed=seed,
            extractor=table.extractor,
            guidance=choice.guidance,
            classifier=choice.classifier,
        )
        for choice in run.samplers
    ]
    return Plan(train, samples, run)
