"""The commands that work: what each hands over to the library, and what it prints of the answer."""

import inspect
import json
import logging
import re
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import Record, library, printed, refused, toy
from fake_plugins import Site, site

from genzoo.cli import main
from genzoo.cli.making import train
from genzoo.config import Budget, SampleConfig

__all__ = ["library", "site", "toy"]


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


README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = re.findall(
    r"^ *(genzoo train .*?--data (?:digits|8gaussians).*?)(?:   .*)?$", f"{train.__doc__}\n{README}", re.M
)


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_examples_of_train_are_commands_that_work(library: SimpleNamespace, line: str) -> None:
    assert main(line.split()[1:]) == 0
    assert len(library.calls) == 1


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
