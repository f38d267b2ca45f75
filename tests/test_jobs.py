"""A training as a folder: what is refused before anything is written, what is written, and how it is gone on with."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch
from accelerate import tracking
from omegaconf import OmegaConf
from pyarrow import parquet
from safetensors.torch import load_file
from small import Point, Squares, config, family, job, names
from torch import nn

from genzoo import jobs
from genzoo.config import TrainConfig
from genzoo.data import load
from genzoo.errors import (
    DataError,
    FolderInUse,
    GenZooError,
    InvalidConfig,
    InvalidOption,
    MissingCapability,
    RunError,
    StorageError,
    UnknownName,
)
from genzoo.hookspecs import hookimpl
from genzoo.jobs import CONFIG, COST, WEIGHTS, Job, execute, prepare, prepare_sampler, read_description
from genzoo.provenance import machine
from genzoo.training import Upkeep
from genzoo.zoo import Zoo

FLOW = family("realnvp", budget="3steps")
DATA = load("8gaussians")
RESUME = Upkeep(resume=True)


def refused(kind: type[GenZooError], function: Any, *arguments: Any, status: int = 2) -> str:
    with pytest.raises(kind) as caught:
        function(*arguments)
    assert caught.value.status == status and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "flow"
    execute(job(FLOW), folder)
    return folder


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


# Before anything is written


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"model": "realnpv"}, UnknownName, "unknown model 'realnpv'; did you mean 'realnvp'?"),
        ({"data": "8gausians"}, UnknownName, "unknown data set '8gausians'; did you mean '8gaussians'?"),
        ({"trainer": "elb"}, UnknownName, "unknown trainer 'elb'; did you mean 'elbo'?"),
        (
            {"model_options": {"widht": 8}},
            InvalidOption,
            "model 'realnvp' has no option 'widht'; did you mean 'width'?",
        ),
        ({"model_options": {"width": "wide"}}, InvalidOption, "width"),
        ({"trainer_options": {"rate": 1}}, InvalidOption, "trainer 'maximum-likelihood' has no option 'rate'"),
        ({"trainer": "elbo"}, MissingCapability, "realnvp offers Density, Decoder, Encoder; elbo needs LowerBound"),
        ({"precision": "bf16"}, InvalidConfig, "precision bf16 is too coarse for this trainer or for points"),
        ({"size": 8}, InvalidOption, "size=8: 8gaussians is points"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], kind: type[GenZooError], told: str) -> None:
    assert told in refused(kind, job, FLOW.model_copy(update=changes))


def test_data_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    holed = pa.table({"x": [0.0, float("nan")] * 20, "y": [1.0, 2.0] * 20})
    parquet.write_table(holed, tmp_path / "points.parquet")
    told = refused(DataError, job, FLOW.model_copy(update={"data": f"parquet:{tmp_path}"}))
    assert "points of the train split are NaN or infinite; remove them" in told


class Labelled(Point):
    """Needs labels."""

    num_classes = 8

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()

    def given(self, labels: torch.Tensor) -> "Labelled":
        return self


class Tied(Point):
    """Two names for one weight."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.also = self.at


class Plugin:
    @hookimpl
    def genzoo_models(self) -> dict[str, Any]:
        return {"labelled": Labelled, "tied": Tied}

    @hookimpl
    def genzoo_trainers(self) -> dict[str, Any]:
        return {"squares": lambda: Squares()}

    @hookimpl
    def genzoo_samplers(self) -> dict[str, Any]:
        return {"none": "small:Point"}


@pytest.fixture
def zoo() -> Zoo:
    zoo = Zoo()
    zoo.register(Plugin(), "small")
    return zoo


def test_a_conditional_model_needs_labels(zoo: Zoo) -> None:
    told = refused(DataError, prepare, zoo, config(model="labelled", data="8gaussians"))
    assert told.startswith("8gaussians has no labels")


def test_the_sampler_is_checked_against_the_model() -> None:
    prepared = job(FLOW)
    assert type(prepare_sampler(Zoo.load(), prepared.model, "realnvp", None, {})).__name__ == "Decode"
    told = refused(MissingCapability, prepare_sampler, Zoo.load(), prepared.model, "realnvp", "ddim", {})
    assert told.startswith("realnvp offers Density, Decoder, Encoder; ddim needs NoisePredictor")


def test_a_job_has_every_default_filled_in_and_an_id_that_says_so() -> None:
    plain, spelt = job(FLOW), job(FLOW.model_copy(update={"trainer": "maximum-likelihood"}))
    assert plain.config.trainer == "maximum-likelihood"
    zoo = Zoo.load()
    assert plain.config.trainer_options == zoo.validate("trainer", "maximum-likelihood", {}, {"levels": None})
    wanted = zoo.validate("model", "realnvp", {"width": 8, "couplings": 2}, {"levels": None, "num_classes": None})
    assert plain.config.model_options == wanted and {"width", "couplings", "levels"} <= wanted.keys()
    assert plain.id == spelt.id != job(FLOW.model_copy(update={"seed": 1})).id
    assert plain.id.startswith("realnvp-8gaussians-") and plain.versions.keys() == {"flow"}


def test_facts_of_the_data_reach_who_wants_them() -> None:
    digits = job(family("vae", data="digits"))
    assert digits.config.model_options["levels"] == 17 == digits.model.levels


def test_the_seed_decides_the_initial_weights() -> None:
    first, again, other = (
        job(FLOW.model_copy(update={"seed": seed})).model.state_dict().values() for seed in (0, 0, 1)
    )
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


# The folder


def test_a_finished_run_holds_what_it_was_and_what_it_cost(finished: Path) -> None:
    assert names(finished) == ["checkpoint", CONFIG, "log.jsonl", WEIGHTS, COST]
    description = read_description(finished)
    assert description["schema"] == "genzoo.run/1" and description["id"] == job(FLOW).id
    assert TrainConfig.model_validate(description["config"]) == job(FLOW).config
    assert description["fingerprint"] == DATA.fingerprint
    cost = json.loads((finished / COST).read_text())
    assert cost["steps"] == 3 and cost["images_seen"] == 48 and cost["seconds"] > 0 and cost["flops"] > 0
    assert {"cpu": cost["cpu"], "gpu": cost["gpu"], "threads": cost["threads"]} == machine() and cost["cpu"]
    weights = load_file(finished / WEIGHTS)
    assert {name: t.shape for name, t in weights.items()} == {
        name: t.shape for name, t in job(FLOW).model.state_dict().items()
    }


def test_only_a_resume_returns_to_a_run_and_changes_nothing_in_a_finished_one(finished: Path) -> None:
    before = state_of(finished)
    told = refused(FolderInUse, execute, job(FLOW), finished)
    assert told == f"{finished} already holds a run: add --resume to go on with it, or give another --out"
    execute(job(FLOW), finished, RESUME)
    assert state_of(finished) == before


def test_another_training_is_refused(finished: Path) -> None:
    before = state_of(finished)
    other = job(FLOW.model_copy(update={"seed": 1}))
    told = refused(FolderInUse, execute, other, finished, RESUME)
    assert f"holds another training ({job(FLOW).id}, not {other.id})" in told
    assert state_of(finished) == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for upkeep in (Upkeep(), RESUME):
        told = refused(FolderInUse, execute, job(FLOW), tmp_path, upkeep)
        assert told == f"{tmp_path} holds something that is not a run: give another --out"
    assert names(tmp_path) == ["thesis.tex"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    execute(job(FLOW), tmp_path)
    assert WEIGHTS in names(tmp_path)


@pytest.mark.parametrize("below", [".", "run", "some/where/run"])
def test_a_file_in_the_way_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "notes").write_text("mine")
    told = refused(FolderInUse, execute, job(FLOW), tmp_path / "notes" / below)
    assert told == f"{tmp_path / 'notes'} is a file: give another --out"
    assert (tmp_path / "notes").read_text() == "mine"


def test_an_unknown_tracker_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_available_trackers", [tracking.LoggerType.TENSORBOARD])
    told = refused(UnknownName, execute, job(FLOW), tmp_path / "run", Upkeep(track="tensorbord"))
    assert told.startswith("unknown tracker 'tensorbord'; did you mean 'tensorboard'? (allowed: tensorboard)")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("schema: genzoo.run/2\nid: a\nconfig: {}", "has schema 'genzoo.run/2', this version reads 'genzoo.run/1'"),
        ("just text", "has schema None, this version reads 'genzoo.run/1'"),
        ("a: [", "cannot be read: train again with another --out"),
        ("schema: genzoo.run/1\nconfig: {}", "lacks 'id', somebody changed it"),
        ("schema: genzoo.run/1\nid: a", "lacks 'config', somebody changed it"),
    ],
)
def test_a_run_of_another_version_or_of_nobody_is_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / CONFIG).write_text(content)
    assert told in refused(RunError, execute, job(FLOW), tmp_path, RESUME)
    assert names(tmp_path) == [CONFIG]


def test_a_folder_without_a_description_is_not_a_run(tmp_path: Path) -> None:
    assert refused(RunError, read_description, tmp_path).startswith(f"{tmp_path} is not a run, it has no {CONFIG}")


def test_a_disk_that_refuses_is_told_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(jobs, "fit", lambda *arguments: pytest.fail("it trains"))
    told = refused(StorageError, execute, job(FLOW), tmp_path / "run", status=1)
    assert told.startswith(f"cannot write {tmp_path / 'run' / CONFIG}: No space left on device")


def test_odd_characters_survive_the_description(tmp_path: Path) -> None:
    odd = FLOW.model_copy(update={"data": "parquet:${HOME}/a: b #c é"})
    prepared = job(FLOW)
    execute(Job(odd, prepared.data, prepared.model, prepared.trainer, {}), tmp_path)
    assert read_description(tmp_path)["config"]["data"] == odd.data
    assert OmegaConf.load(tmp_path / CONFIG)["schema"] == "genzoo.run/1"


def test_weights_that_share_memory_are_saved_under_every_name(tmp_path: Path, zoo: Zoo) -> None:
    execute(prepare(zoo, config(model="tied", data="8gaussians")), tmp_path)
    weights = load_file(tmp_path / WEIGHTS)
    assert torch.equal(weights["at"], weights["also"]) and weights["at"].abs().sum() > 0


def test_only_the_main_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: None)
    monkeypatch.setattr(jobs, "this_process", lambda: other)
    monkeypatch.setattr(jobs, "fit", lambda *arguments: SimpleNamespace(model=nn.Linear(1, 1)))
    execute(job(FLOW), tmp_path / "run")
    assert names(tmp_path) == []
