"""A finished training, opened from its folder: sampled, measured, and refused when it is not one."""

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small import FAMILIES, family, names

import genzoo
from genzoo.config import SampleConfig
from genzoo.errors import FolderInUse, InvalidConfig, InvalidOption, MissingCapability, RunError, UnknownName
from genzoo.evaluation import read_record
from genzoo.jobs import CONFIG, COST, WEIGHTS
from genzoo.provenance import sampled_on, trained_on
from genzoo.run import Run, start, train
from genzoo.scoring import Judging


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A diffusion model of points, hardly trained."""
    config = family("ddpm", budget="5steps")
    return start(config, tmp_path_factory.mktemp("runs") / "points", progress=False)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A VAE of the digits, hardly trained."""
    config = family("vae", data="digits", budget="5steps")
    return start(config, tmp_path_factory.mktemp("runs") / "images", progress=False)


@pytest.fixture
def copy(points: Run, tmp_path: Path) -> Path:
    """A run to be spoilt."""
    return Path(shutil.copytree(points.folder, tmp_path / "copy"))


# Opening


def test_a_run_opens_from_its_folder_as_it_was_trained(points: Run) -> None:
    run = Run.open(str(points.folder))
    assert run.id == points.id and str(points.folder) in repr(run)
    assert run.config.model == "ddpm" and run.config.trainer == "denoising"
    assert run.cost["steps"] == 5 and run.cost["images_seen"] == 80
    assert torch.equal(run.sample(5), points.sample(5))


def test_it_is_the_averaged_model_in_eval_mode(points: Run) -> None:
    assert not points.model.training
    assert all(torch.isfinite(p).all() for p in points.model.parameters())


@pytest.mark.parametrize("missing", [WEIGHTS, COST])
def test_a_half_written_run_is_refused_with_what_to_do(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(
        RunError, match=f"is half written, it has no {missing}: finish it with 'genzoo train ... --resume'"
    ):
        Run.open(copy)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match=f"is not a run, it has no {CONFIG}: give a folder that 'genzoo train' made"):
            Run.open(folder)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("genzoo.run/1", "genzoo.run/9", "has schema 'genzoo.run/9', this version reads 'genzoo.run/1'"),
        ("batch_size: 16", "batch_seize: 16", "unknown key 'batch_seize'; did you mean 'batch_size'?"),
    ],
)
def test_a_run_of_another_version_is_refused(copy: Path, old: str, new: str, told: str) -> None:
    (copy / CONFIG).write_text((copy / CONFIG).read_text().replace(old, new))
    with pytest.raises((RunError, InvalidConfig), match=told):
        Run.open(copy)


@pytest.mark.parametrize("width", [8, 16])
def test_weights_that_are_damaged_or_of_another_model_are_refused(copy: Path, width: int) -> None:
    (copy / CONFIG).write_text((copy / CONFIG).read_text().replace("width: 8", f"width: {width}"))
    if width == 8:
        (copy / WEIGHTS).write_bytes((copy / WEIGHTS).read_bytes()[:1000])
    with pytest.raises(RunError, match=f"{WEIGHTS} does not fit ddpm as installed: ") as caught:
        Run.open(copy).sample(1)
    assert "\n" not in str(caught.value)


# Sampling


def test_points_come_in_standardised_units_and_the_seed_decides(points: Run) -> None:
    x = points.sample(7, seed=3)
    assert x.shape == (7, 2) and x.dtype is torch.float32
    assert torch.equal(x, points.sample(7, seed=3)) and not torch.equal(x, points.sample(7, seed=4))


def test_images_are_pictures_of_the_data_s_own_levels(images: Run) -> None:
    x = images.sample(7)
    assert x.shape == (7, 8, 8, 1) and x.dtype is torch.uint8
    assert set(x.unique().tolist()) <= set(images.data.train.images().unique().tolist())


def test_the_sampler_and_its_options_can_be_chosen(points: Run) -> None:
    few = points.draw(SampleConfig(sampler="ddim", options={"num_steps": 4}, num_samples=3))
    assert few.samples.calls_per_sample == 4
    assert torch.equal(few.finished, points.sample(3, sampler="ddim", options={"num_steps": 4}))
    assert points.draw(SampleConfig(num_samples=3)).samples.calls_per_sample == 1000


def test_what_cannot_sample_the_model_is_refused(points: Run) -> None:
    with pytest.raises(MissingCapability, match="ddpm offers NoisePredictor; decode needs Decoder"):
        points.sample(1, sampler="decode")
    with pytest.raises(UnknownName, match=r"unknown sampler 'ddin'; did you mean 'ddim'\?"):
        points.sample(1, sampler="ddin")
    with pytest.raises(InvalidOption, match="num_step"):
        points.sample(1, sampler="ddim", options={"num_step": 4})


# Measuring


def test_an_evaluation_keeps_samples_picture_and_record(images: Run) -> None:
    record = images.evaluate(sampler="decode")
    (folder,) = (images.folder / "samples").iterdir()
    assert names(folder) == ["record.json", "samples.npz", "samples.png"]
    assert read_record(folder / "record.json") == record
    with np.load(folder / "samples.npz", allow_pickle=False) as kept:
        assert kept["arr_0"].shape == (500, 8, 8, 1)
        assert torch.equal(torch.from_numpy(kept["arr_0"]), images.sample(500, sampler="decode"))


def test_a_record_says_what_the_numbers_depend_on(images: Run) -> None:
    record = images.evaluate(seed=1)
    assert (record.model.name, record.model.plugin, record.model.seed) == ("vae", "vae", 0)
    assert record.training.steps == 5 and record.training.budget == "5steps" and record.training.trainer == "elbo"
    assert (record.sampling.sampler, record.sampling.n, record.sampling.seed) == ("decode", 500, 1)
    assert record.model.parameters.generator < record.model.parameters.total == record.model.parameters.training
    assert record.data.fingerprint == images.data.fingerprint and record.data.n == 500
    assert record.metrics["fd_debiased"].value > 0 and record.extractor.name == "cnn8"
    assert record.likelihood[0].kind.startswith("lower bound") and record.likelihood[0].value > 0
    assert "fd_debiased" in str(record)


def test_unusual_judges_leave_the_usual_record_as_it_was(images: Run) -> None:
    usual = images.score(SampleConfig(num_samples=60))
    unusual = images.score(SampleConfig(num_samples=60), Judging(beside="none", likelihood_images=8))
    found = [read_record(path) for path in images.folder.glob("samples/*/record.json")]
    assert usual in found and unusual in found and (usual.beside is None, unusual.beside) == (False, None)


def test_a_record_says_on_what_machine_it_was_trained_and_what_was_done_to_the_data(copy: Path) -> None:
    cost = json.loads((copy / "training.json").read_text())
    (copy / "training.json").write_text(json.dumps({**cost, "cpu": "another", "gpu": "a GPU", "threads": 64}))
    record = Run.open(copy).score(SampleConfig(sampler="ddim", options={"num_steps": 2}, num_samples=60))
    assert (record.training.cpu, record.training.gpu, record.training.threads) == ("another", "a GPU", 64)
    assert record.environment.cpu == cost["cpu"] != "another" and record.data.preprocessing == "unit scale"
    older = {name: value for name, value in cost.items() if name not in ("cpu", "gpu", "threads")}
    (copy / "training.json").write_text(json.dumps(older))
    record = Run.open(copy).score(SampleConfig(sampler="ddim", options={"num_steps": 2}, num_samples=60))
    assert (record.training.cpu, record.training.gpu, record.training.threads) == (None, None, None)
    assert trained_on(record) == sampled_on(record)


def test_points_are_measured_against_their_density(points: Run) -> None:
    record = points.score(SampleConfig(sampler="ddim", options={"num_steps": 3}, num_samples=300))
    assert record.sampling.n == 300 and record.sampling.calls_per_sample == 3
    assert record.extractor is None and 0 <= record.metrics["good_points"].value <= 1


# Training


def test_train_is_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"budget": "2steps", "options": FAMILIES["realnvp"], "trainer_options": {"lr": 1e-2}, "progress": False}
    run = genzoo.train("realnvp", data="8gaussians", settings={"batch_size": 8}, **options)
    assert run.folder == Path("runs") / run.id and isinstance(run, genzoo.Run)
    assert run.config.batch_size == 8 and run.config.trainer_options["lr"] == 1e-2
    with pytest.raises(FolderInUse, match="already holds a run: add --resume"):
        genzoo.train("realnvp", data="8gaussians", settings={"batch_size": 8}, **options)
    again = genzoo.train("realnvp", data="8gaussians", settings={"batch_size": 8}, resume=True, **options)
    assert again.id == run.id and names(tmp_path / "runs") == [run.id]


def test_a_wrong_request_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidConfig, match=r"genzoo\.train: budget: budget '60' is no number with a unit"):
        train("vae", data="digits", budget="60")
    with pytest.raises(InvalidConfig, match=r"genzoo\.train: unknown key 'bach_size'; did you mean 'batch_size'\?"):
        train("vae", data="digits", settings={"bach_size": 3})
    with pytest.raises(InvalidConfig, match="precision bf16 is too coarse"):
        train("realnvp", data="8gaussians", settings={"precision": "bf16"})
    assert names(tmp_path) == []


def test_the_log_is_lines_of_json(points: Run) -> None:
    log = [json.loads(line) for line in (points.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2, 3, 4, 5]


def test_every_argument_of_train_is_documented() -> None:
    for name in inspect.signature(train).parameters:
        assert f"\n        {name}: " in train.__doc__
