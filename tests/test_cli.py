"""The command line: what it prints, what it refuses, its exit status, and that it is quick."""

import inspect
import json
import logging
import os
import resource
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_plugins import Site, site

import genzoo
from genzoo.cli import main
from genzoo.config import Budget, SampleConfig
from genzoo.errors import DataError, TrainingFailed

__all__ = ["site"]


@pytest.fixture
def toy(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """No plugin but one, with the model ``toy`` and the trainer ``toy-trainer``; it hides the installed ones."""
    site.install_toy("genzoo", "genzoo_toy", "toy")
    monkeypatch.delenv("GENZOO_DISABLE", raising=False)
    return site


class Record:
    """A record in form only."""

    def as_json(self) -> dict[str, str]:
        return {"schema": "genzoo.eval/1"}

    def __str__(self) -> str:
        return "fd 1.0"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands where the library's modules stand, and keeps the arguments of every call."""
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def note(name: str, answer: Any = None) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            calls.append((name, arguments, named))
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call

    drawn = SimpleNamespace(finished="samples", samples=SimpleNamespace(labels="labels"))
    trained = SimpleNamespace(folder=Path("runs/toy-1"), data="data", draw=note("draw", drawn))
    modules = SimpleNamespace(
        run=SimpleNamespace(
            start=note("start", trained),
            Run=SimpleNamespace(open=note("open", trained)),
        ),
        assessment=SimpleNamespace(evaluate=note("evaluate", Record())),
        summary=SimpleNamespace(summary=str),
        scoring=SimpleNamespace(save_samples=note("save_samples")),
        benchmark=SimpleNamespace(
            bench=note("bench", SimpleNamespace(table=lambda: "the table", failed=False, report=Path("report.html"))),
            report=note("report", Path("runs/report.html")),
        ),
        testing=SimpleNamespace(check=note("check", [SimpleNamespace(name="a", passed=True, reason="")])),
    )
    for name, module in vars(modules).items():
        monkeypatch.setitem(sys.modules, f"genzoo.{name}", module)
        monkeypatch.setattr(genzoo, name, module, raising=False)
    return SimpleNamespace(calls=calls, note=note, **vars(modules))


def refused(capsys: pytest.CaptureFixture[str], *words: str, status: int = 2) -> str:
    """The one line that the command costs."""
    assert main(words) == status
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and printed.err.startswith("error: ")
    return printed.err.removeprefix("error: ").strip()


def printed(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(words) == status
    return capsys.readouterr().out


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


# Working


def test_train_hands_over_a_checked_configuration(
    toy: Site, library: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "toy", "--data", "digits", "--budget", "500steps", "--seed", "3", "--out", "here", "--resume"]
    sets = ["schedule=cosine", "lr=1e-3", "model.width=16", "batch_size=32"]
    assert printed(capsys, *words, *(word for setting in sets for word in ("--set", setting))) == "runs/toy-1\n"
    ((name, (config, out), named),) = library.calls
    assert named.pop("data").name == "digits"
    assert (name, out, named) == ("start", Path("here"), {"resume": True, "track": None, "progress": False})
    assert (config.model, config.data, config.trainer, config.seed) == ("toy", "digits", None, 3)
    assert config.budget == Budget(500, "steps")
    assert config.model_options == {"schedule": "cosine", "width": 16}
    assert config.trainer_options == {"lr": 1e-3}
    assert config.batch_size == 32


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tyo"], "unknown model 'tyo'; did you mean 'toy'? (allowed: toy)"),
        (["toy", "--data", "digit"], "unknown data set 'digit'; did you mean 'digits'?"),
        (["toy", "--trainer", "toy-traner"], "unknown trainer 'toy-traner'; did you mean 'toy-trainer'?"),
        (["toy", "--budget", "60"], "genzoo train: budget: budget '60' is no number with a unit"),
        (["toy", "--set", "scedule=cosine"], "unknown option 'scedule'; did you mean 'schedule'?"),
        (["toy", "--set", "width=3"], "option 'width' is ambiguous: say model.width= or trainer.width="),
        (["toy", "--set", "batch_size=many"], "genzoo train: batch_size = 'many': Input should be a valid integer"),
        (["toy", "--set", "width"], "--set 'width' is not KEY=VALUE"),
    ],
)
def test_a_wrong_training_is_refused_before_it_begins(
    toy: Site, library: SimpleNamespace, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert refused(capsys, "train", "--data", "digits", *words).startswith(told)
    assert library.calls == []


def test_sample_draws_and_saves(library: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "samples.npz"
    words = ["sample", "runs/toy-1", "-n", "10", "--sampler", "ddim", "--set", "num_steps=20", "--out", str(out)]
    assert printed(capsys, *words) == f"{out}\n"
    asked = SampleConfig(sampler="ddim", options={"num_steps": 20}, num_samples=10)
    assert library.calls == [
        ("open", (Path("runs/toy-1"),), {}),
        ("draw", (asked, None), {}),
        ("save_samples", ("samples", out, "labels"), {}),
    ]


def test_sample_takes_a_label_and_guidance(
    library: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "threes.png"
    words = ["--label", "3", "--guidance", "2.5", "--classifier", "run:judge", "--out", str(out)]
    printed(capsys, "sample", "runs/toy-1", *words)
    (_, (asked, label), _) = library.calls[1]
    assert (label, asked.guidance, asked.classifier) == (3, 2.5, "run:judge")
    for words in (["--label", "-1"], ["--guidance", "-1"]):
        assert f"Invalid value for '{words[0]}'" in refused(capsys, "sample", "runs/toy-1", *words)


def test_sample_overwrites_nothing_and_knows_its_formats(
    library: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.png"
    there.write_text("mine")
    assert "already there" in refused(capsys, "sample", "run", "--out", str(there))
    assert "neither a .png nor a .npz" in refused(capsys, "sample", "run", "--out", str(tmp_path / "a.gif"))
    assert "there.png is a file" in refused(capsys, "sample", "run", "--out", str(there / "x.png"))
    assert there.read_text() == "mine" and library.calls == []


def test_evaluate_prints_the_record(library: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "evaluate", "mine", "--data", "digits", "--json")) == {"schema": "genzoo.eval/1"}
    assert printed(capsys, "evaluate", "mine", "--data", "digits") == "fd 1.0\n"
    (_, arguments, named), _ = library.calls
    assert arguments == ("mine",) and named["data"] == "digits"
    assert {key for key, value in named.items() if value not in (None, {})} == {
        "data", "seed", "resize", "likelihood_images", "likelihood",
    }  # fmt: skip


def test_evaluate_hands_over_every_option(library: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "against": "digits:train", "size": 28, "num_samples": 100, "sampler": "ddim", "seed": 3, "resize": "box",
        "extractor": "cnn8", "extractor_weights": Path("w.pth"), "beside": "rand28", "likelihood_images": 10,
        "likelihood": "full", "guidance": 2.0, "classifier": "run:judge",
    }  # fmt: skip
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    printed(capsys, "evaluate", "mine", *words, "--set", "num_steps=20")
    ((_, _, named),) = library.calls
    assert named == {**given, "data": None, "options": {"num_steps": 20}}


def test_every_option_of_the_library_s_evaluate_can_be_given_on_the_command_line() -> None:
    from genzoo.assessment import evaluate
    from genzoo.cli import evaluating

    renamed = {"options": "settings"}
    ours = {renamed.get(name, name) for name in inspect.signature(evaluate).parameters}
    assert ours == inspect.signature(evaluating.evaluate).parameters.keys() - {"out", "as_json"}


def test_evaluate_writes_the_record_where_nothing_was(
    library: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "record.json"
    library.assessment.evaluate = library.note("evaluate", Record())
    printed(capsys, "evaluate", "mine", "--data", "digits", "--out", str(out))
    assert json.loads(out.read_text()) == {"schema": "genzoo.eval/1"}
    assert f"{out} is already there: give another --out" in refused(capsys, "evaluate", "mine", "--out", str(out))
    assert "is a file: give another --out" in refused(capsys, "evaluate", "mine", "--out", str(out / "x.json"))
    for long in ("x" * 300, f"{'x' * 300}/record.json"):
        assert "File name too long" in refused(capsys, "evaluate", "mine", "--out", long)
    assert len(library.calls) == 1


def test_what_evaluate_is_doing_and_what_it_warns_of_is_told_on_standard_error(
    library: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    def evaluate(*_: Any, **__: Any) -> Record:
        logging.getLogger("genzoo.run").info("drawing %d samples", 5)
        warnings.warn("cached features are damaged", stacklevel=1)
        return Record()

    library.assessment.evaluate = evaluate
    for _ in range(2):  # and no more than once each time
        assert main(["evaluate", "mine", "--data", "digits", "--json"]) == 0
        told = capsys.readouterr()
        assert told.err == "drawing 5 samples\nwarning: cached features are damaged\n"
        assert json.loads(told.out) == {"schema": "genzoo.eval/1"}


@pytest.mark.parametrize(("failed", "status"), [(False, 0), (True, 1)])
def test_bench_prints_the_table_and_its_status_says_whether_all_went_well(
    library: SimpleNamespace, capsys: pytest.CaptureFixture[str], failed: bool, status: int
) -> None:
    library.benchmark.bench = library.note(
        "bench", SimpleNamespace(table=lambda: "the table", failed=failed, report="r.html")
    )
    words = ["bench", "digits", "--out", "here", "--set", "budget=5s", "--only", "ddpm*"]
    assert printed(capsys, *words, status=status) == "the table\n\nreport: r.html\n"
    assert library.calls == [("bench", ("digits", Path("here"), ["budget=5s"], "ddpm*"), {})]


def test_quickstart_is_the_suite_of_that_name(library: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "quickstart") == "the table\n\nreport: report.html\n"
    assert library.calls == [("bench", ("quickstart", None, (), None), {})]


def test_report_prints_where_it_is(library: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "report", "runs") == "runs/report.html\n"
    assert library.calls == [("report", (Path("runs"),), {})]


def test_check_tells_what_failed(library: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "check", "toy").endswith("\n1 passed, 0 failed\n")
    results = [SimpleNamespace(name="a", passed=True, reason=""), SimpleNamespace(name="b", passed=False, reason="off")]
    library.testing.check = library.note("check", results)
    text = printed(capsys, "check", "toy", status=1)
    assert "b      failed: off\n" in text and text.endswith("1 passed, 1 failed\n")


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
