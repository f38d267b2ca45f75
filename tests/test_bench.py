"""A suite from beginning to end, on budgets of a few steps: what runs, what is kept, what fails alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from benching import refused, stamps
from small import names

from genzoo import benchmark
from genzoo.benchmark import Results, bench, report
from genzoo.cli import main
from genzoo.errors import (
    ExtractorUnavailable,
    FolderInUse,
    GenZooError,
    Interrupted,
    InvalidConfig,
    InvalidOption,
    InvalidSamples,
    MissingCapability,
    RunError,
    StorageError,
    UnknownName,
)

pytestmark = pytest.mark.xdist_group("bench")  # the suite is run once

SUITE = """
name: tiny
title: A tiny suite
budget: 4steps
batch_size: 16
tables:
  - data: 8gaussians
    num_samples: 200
    runs:
      - {model: vae, set: {width: 8}}
      - model: ddpm
        set: {width: 8}
        samplers: [{sampler: ddim, set: {num_steps: 4}}, {sampler: ddpm, set: {num_steps: 2}}]
      - {model: realnvp, set: {width: 8, couplings: 2}, trainer_set: {lr: 1e30}}
  - data: digits
    num_samples: 60
    runs:
      - {model: sngan, set: {width: 8}}
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "tiny.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def results(suite: Path) -> Results:
    """The suite, run once."""
    return bench(suite, suite.parent / "out", progress=False)


def test_every_row_stands_with_the_references_of_its_table(results: Results) -> None:
    rows = [(r.data.name, r.role, r.model.name, r.sampling.sampler, r.status) for r in results.records]
    assert rows == [
        ("8gaussians", "floor", "gaussian", "gaussian", "ok"),
        ("8gaussians", "ceiling", "train-vs-test", "train-vs-test", "ok"),
        ("8gaussians", "model", "vae", "ancestral", "ok"),
        ("8gaussians", "model", "ddpm", "ddim", "ok"),
        ("8gaussians", "model", "ddpm", "ddpm", "ok"),
        ("8gaussians", "model", "realnvp", "decode", "failed"),
        ("digits", "floor", "gaussian", "gaussian", "ok"),
        ("digits", "ceiling", "train-vs-test", "train-vs-test", "ok"),
        ("digits", "model", "sngan", "decode", "ok"),
    ]


def test_samplers_of_one_training_share_it(results: Results) -> None:
    one, other = (record for record in results.records if record.model.name == "ddpm")
    assert one.model.checkpoint == other.model.checkpoint
    assert (one.sampling.calls_per_sample, other.sampling.calls_per_sample) == (4, 2)


def test_sample_sets_are_as_large_as_the_table_says(results: Results) -> None:
    sizes = {(record.data.name, record.sampling.n) for record in results.records if record.status == "ok"}
    assert sizes == {("8gaussians", 200), ("digits", 60)}


def test_a_failing_run_is_a_row_with_its_reason(results: Results) -> None:
    (failed,) = (record for record in results.records if record.status == "failed")
    assert failed.reason.startswith("loss 'model' is nan, the norm of its gradient nan at step")
    assert results.failed == 1 and failed.metrics == {}
    assert "not finite" not in results.table() and "realnvp" in results.table()


def test_the_report_is_written_beside_the_runs(results: Results, suite: Path) -> None:
    out = suite.parent / "out"
    assert results.report.is_relative_to(out) and "<html" in results.report.read_text()
    assert len(list(out.glob("*/model.safetensors"))) == 3
    assert len(list(out.glob("*/samples/*/record.json"))) == len(results.records)


def test_a_second_time_only_what_failed_is_done_again(results: Results, suite: Path) -> None:
    out = suite.parent / "out"
    weights, records = stamps(out, "model.safetensors"), stamps(out, "record.json")
    again = bench(suite, out, progress=False)
    assert [record.id for record in again.records if record.status == "ok"] == [
        record.id for record in results.records if record.status == "ok"
    ]
    assert stamps(out, "model.safetensors") == weights
    renewed = {path for path, stamp in stamps(out, "record.json").items() if stamp != records[path]}
    assert {json.loads(path.read_text())["status"] for path in renewed} == {"failed"}


def test_a_pattern_chooses_models(suite: Path, tmp_path: Path) -> None:
    chosen = bench(suite, tmp_path, ["tables.0.references=false"], "sn*", progress=False)
    assert [record.model.name for record in chosen.records] == ["gaussian", "train-vs-test", "sngan"]
    assert "unknown pattern 'ebm*'" in refused(UnknownName, suite, tmp_path / "other", [], "ebm*")


def test_progress_is_told_on_standard_error(suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["tables.0.references=false", "tables.1.references=false"]
    bench(suite, tmp_path, chosen, "vae")
    first = capsys.readouterr()
    bench(suite, tmp_path, chosen, "vae")
    second = capsys.readouterr()
    assert first.out == second.out == ""
    assert "drawing 200 samples with ancestral" in first.err and "trained before" not in first.err
    assert "trained before" in second.err and "drawing" not in second.err


@pytest.mark.parametrize(
    ("override", "kind", "told"),
    [
        ("tables.0.runs.0.model=vea", UnknownName, "unknown model 'vea'; did you mean 'vae'?"),
        ("tables.1.data=digit", UnknownName, "unknown data set 'digit'; did you mean 'digits'?"),
        ("tables.0.runs.1.samplers.0.sampler=ddin", UnknownName, "unknown sampler 'ddin'; did you mean 'ddim'?"),
        ("tables.0.runs.0.samplers=[langevin]", MissingCapability, "langevin needs Score"),
        ("tables.1.runs.0.set.widht=3", InvalidOption, "'widht'; did you mean 'width'?"),
        ("tables.1.runs.0.budget=3", InvalidConfig, "tables.1.runs.0.budget"),
        ("tables.1.runs.0.precision=half", InvalidConfig, "tables.1.runs.0.precision"),
        ("tables.0.runs.0.precision=bf16", InvalidConfig, "precision bf16 is too coarse"),
        ("tables.1.extractor=cnn9", UnknownName, "unknown extractor 'cnn9'"),
        ("tables.1.extractor=inception-v3-compat", ExtractorUnavailable, "inception"),
        ("tables.1.extractor=cnn28", InvalidSamples, "cnn28 takes 1x28x28 images, these are 1x8x8"),
    ],
)
def test_what_is_wrong_in_the_last_run_is_refused_before_the_first(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, kind: type[GenZooError], told: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    assert told in refused(kind, suite, tmp_path / "out", [override])
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_refused(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert "holds something else (thesis.tex)" in refused(FolderInUse, suite, tmp_path)
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("error", [Interrupted("stopped at step 3"), StorageError("cannot write")])
def test_what_stops_everything_stops_everything(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: GenZooError
) -> None:
    def stop(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(benchmark, "execute", stop)
    assert refused(type(error), suite, tmp_path) == str(error)


def test_an_unexpected_error_is_a_row_too(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(benchmark, "execute", fail)
    done = bench(suite, tmp_path, only="vae", progress=False)
    assert [r.reason for r in done.records if r.status == "failed"] == ["ZeroDivisionError: by zero"]


def test_the_report_can_be_written_again(results: Results, suite: Path, tmp_path: Path) -> None:
    results.report.unlink()
    assert report(suite.parent / "out") == results.report and results.report.is_file()
    with pytest.raises(RunError, match="is not a results folder"):
        report(tmp_path)


def test_the_command_s_status_says_that_a_run_failed(
    results: Results, suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(suite), "--out", str(suite.parent / "out")]) == 1
    printed = capsys.readouterr().out
    assert "8gaussians" in printed and "ddpm" in printed and str(results.report) in printed
