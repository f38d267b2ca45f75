"""The command line: what it lists and explains, what it refuses, its exit status, and that it is quick."""

import json
import os
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest
from command_line import library, printed, refused, toy
from fake_plugins import Site, site

import genzoo
from genzoo.cli import main
from genzoo.errors import DataError, TrainingFailed

__all__ = ["library", "site", "toy"]


# Looking around


def test_alone_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    assert "genzoo train ddpm --data digits --budget 60s" in text and "quickstart" in text


@pytest.mark.parametrize("command", ["list", "info", "train", "sample", "evaluate", "bench", "check"])
def test_every_commands_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"\n  genzoo {command} " in printed(capsys, command, "--help")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--version") == f"genzoo {genzoo.__version__}\n"


def test_everything_is_listed_kind_by_kind(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "list").splitlines()
    assert ["toy", "toy"] in [line.split() for line in lines]
    assert ["toy-trainer", "toy"] in [line.split() for line in lines]
    assert any(line.startswith("digits ") for line in lines)
    assert any(line.split()[:3] == ["toy", "1.0", "genzoo"] and line.endswith("ok") for line in lines)


def test_one_kind_is_listed_for_people_and_for_programs(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "list", "models") == "model  plugin\ntoy    toy\n"
    assert json.loads(printed(capsys, "list", "models", "--json")) == {"models": [{"model": "toy", "plugin": "toy"}]}


def test_extractors_and_metrics_are_listed_with_their_owners(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert ["cnn28", "genzoo"] in [line.split() for line in printed(capsys, "list", "extractors").splitlines()]
    assert ["fd_debiased", "genzoo"] in [line.split() for line in printed(capsys, "list", "metrics").splitlines()]


def test_broken_plugins_are_listed_with_their_reasons(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    toy.install("acme", {"acme_plugin": "raise OSError('no such lake')"}, fish="acme_plugin")
    assert "broken: OSError: no such lake" in printed(capsys, "list", "plugins")


def test_the_matrix_is_listed(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(printed(capsys, "list", "--compatible", "--json"))["compatible"]
    assert [(row["model"], row["trainers"], row["samplers"]) for row in rows] == [("toy", ["toy-trainer"], [])]
    assert [line.split() for line in printed(capsys, "list", "--compatible").splitlines()] == [
        ["model", "trainers"],
        ["toy", "toy-trainer"],
    ]


def test_info_tells_docstring_options_and_owner(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "info", "toy")
    assert text.startswith("toy: a model of plugin 'toy' of genzoo 1.0\n\nA model that does nothing.\n")
    assert "\nwidth     int                  8\n" in text
    assert "\nschedule  'linear' | 'cosine'  'linear'\n" in text
    assert text.endswith("trainer toy-trainer, sampler toy-sampler\n")
    assert "needs -" in printed(capsys, "info", "toy-trainer")


def test_info_explains_extractors_and_metrics(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "info", "inception-v3-compat")
    assert text.startswith("inception-v3-compat: an extractor of plugin 'genzoo' of genzoo ")
    assert "FID of the literature" in text and "weights" in text
    text = printed(capsys, "info", "fd_debiased")
    assert text.startswith("fd_debiased: a metric of plugin 'genzoo' of genzoo ")
    assert "2 FD_n minus the mean of the FDs of two disjoint halves" in text


def test_info_on_an_unknown_name_suggests_one_of_any_role(toy: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "info", "toy-trianer").startswith("unknown name 'toy-trianer'; did you mean 'toy-trainer'?")


# Going wrong


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["lst"], "No such command 'lst'"),
        (["list", "modles"], "'modles' is not one of 'models', 'trainers', 'samplers', 'extractors', 'metrics', 'data"),
        (["list", "--jsn"], "No such option"),
        (["train"], "Missing argument 'model'"),
        (["train", "toy"], "Missing option '--data'"),
        (["train", "toy", "--data", "digits", "--seed", "x"], "Invalid value for '--seed'"),
        (["sample", "run", "--seed", str(2**32)], "Invalid value for '--seed'"),
    ],
)
def test_a_wrong_line_is_answered_in_one(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    message = refused(capsys, *words)
    assert told.lower() in message.lower().replace('"', "'") and message.endswith("--help'")


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (DataError("the folder is empty"), 2, "the folder is empty"),
        (TrainingFailed("the loss is nan at step 7"), 1, "the loss is nan at step 7"),
        (ZeroDivisionError("division\nby zero"), 1, "ZeroDivisionError: division by zero; --debug shows where"),
    ],
)
def test_a_failure_is_one_line_and_a_status(
    library: SimpleNamespace, capsys: pytest.CaptureFixture[str], error: Exception, status: int, told: str
) -> None:
    library.benchmark.report = library.note("report", error)
    assert refused(capsys, "report", "runs", status=status) == told


@pytest.mark.parametrize("words", [["--debug", "report", "runs"], ["report", "runs", "--debug"]])
def test_debug_anywhere_shows_the_traceback(
    library: SimpleNamespace, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    library.benchmark.report = library.note("report", DataError("the folder is empty"))
    assert main(words) == 2
    text = capsys.readouterr().err
    assert text.startswith("Traceback (most recent call last)") and text.endswith("error: the folder is empty\n")


def test_an_interruption_has_its_own_status(library: SimpleNamespace) -> None:
    library.benchmark.report = library.note("report", KeyboardInterrupt())
    assert main(["report", "runs"]) == 130


# Cost


def alone(site: Site, code: str, *words: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """``code`` in a new interpreter, and the processor seconds it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=site.environment(), capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


COMMAND = "import sys; from genzoo.cli import main; status = main(); sys.exit(9 if 'torch' in sys.modules else status)"


def test_listing_the_built_in_plugins_takes_less_than_four_tenths_of_a_second(site: Site) -> None:
    """In seconds of the processor, the best of five: a busy machine lengthens the wall time of what is measured."""
    site.install_built_ins()
    runs = [alone(site, COMMAND, "list") for _ in range(5)]
    assert all(done.returncode == 0 and "ddpm" in done.stdout for done, _ in runs)
    assert min(seconds for _, seconds in runs) < 0.4


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--help"], 0),
        (["train", "ddmp", "--data", "digits"], 2),
        (["train", "ddpm", "--data", "digit"], 2),
        (["train", "ddpm", "--data", "digits", "--budget", "5x"], 2),
        (["info", "nobody"], 2),
    ],
)
def test_what_needs_no_torch_imports_none(site: Site, words: list[str], status: int) -> None:
    site.install_built_ins()
    done, _ = alone(site, COMMAND, *words)
    assert done.returncode == status, done.stderr


def test_the_package_runs_as_a_module(toy: Site) -> None:
    """So does ``torchrun -m genzoo``."""
    command = [sys.executable, "-m", "genzoo", "info", "nobody"]
    done = subprocess.run(command, env=toy.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error: unknown name 'nobody'")


def test_a_closed_pipe_is_no_traceback(toy: Site) -> None:
    code = "import sys; from genzoo.cli import main; sys.exit(main(['list']))"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=toy.environment(), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
