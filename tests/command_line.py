"""The command line for tests: one plugin, a stand-in for the library, and what is printed."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_plugins import Site

import genzoo
from genzoo.cli import main


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
