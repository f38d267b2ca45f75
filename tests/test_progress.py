"""What a training tells while it runs, and how it hears that it should stop."""

import io
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from small import config, names

from genzoo.errors import StorageError
from genzoo.progress import LOG_POINTS, Progress, StopSignals


def progress(folder: Path | None, step: int = 0, *, tracker: Any = None, show: bool = False) -> Progress:
    return Progress(config(), folder, Accelerator(log_with=tracker), step, show=show)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def run(report: Progress, steps: int, total: int, first: int = 0) -> None:
    """Steps of 8 images and half a second, whose loss is their number."""
    for step in range(first + 1, first + steps + 1):
        report.update(step, 8 * step, 0.5 * step, (step - 1) / total, {"model": float(step)})


class Notebook(GeneralTracker):
    """A tracker that is a list."""

    name, requires_logging_directory, tracker = "notebook", False, None

    def __init__(self) -> None:
        super().__init__()
        self.settings: dict[str, Any] = {}
        self.values: list[tuple[dict[str, Any], int | None]] = []
        self.finished = False

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        self.values.append((values, step))

    def finish(self) -> None:
        self.finished = True


def test_the_log_has_the_mean_loss_of_every_hundredth_of_the_budget(tmp_path: Path) -> None:
    with progress(tmp_path) as report:
        run(report, 1000, 1000)
    log = lines(tmp_path)
    assert len(log) == LOG_POINTS
    assert log[0] == {"step": 1, "images": 8, "seconds": 0.5, "loss": {"model": 1.0}, "images_per_second": 16.0}
    assert log[1] == {"step": 11, "images": 88, "seconds": 5.5, "loss": {"model": 6.5}, "images_per_second": 16.0}


def test_a_short_training_logs_every_step_and_every_loss(tmp_path: Path) -> None:
    with progress(tmp_path) as report:
        report.update(1, 8, 1.0, 0.0, {"critic": 1.0, "generator": 3.0})
        report.update(2, 16, 2.0, 0.5, {"critic": 2.0, "generator": 5.0})
    assert [line["loss"] for line in lines(tmp_path)] == [
        {"critic": 1.0, "generator": 3.0},
        {"critic": 2.0, "generator": 5.0},
    ]


def test_lines_after_the_checkpoint_are_forgotten_with_the_one_that_was_cut_off(tmp_path: Path) -> None:
    with progress(tmp_path) as report:
        run(report, 10, 10)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 11, "ima')
    with progress(tmp_path, step=6) as report:
        run(report, 4, 10, first=6)
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 11))


def test_nothing_is_written_without_a_folder_nor_by_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with progress(None) as report:
        run(report, 3, 3)
    monkeypatch.setattr(Accelerator, "is_main_process", False)
    with progress(tmp_path) as report:
        run(report, 3, 3)
    assert names(tmp_path) == []


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    report = progress(tmp_path)
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"cannot write .*log\.jsonl: No space left on device"):
        run(report, 1, 1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_model_data_share_losses_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress(None, show=True) as report:
        run(report, 10, 10)
        told = terminal.getvalue()
    assert "point on rows  90%" in told and "model 10 16 img/s" in told
    assert "100%" not in told and "100%" in terminal.getvalue()


@pytest.mark.parametrize(("show", "stream"), [(False, Terminal()), (True, io.StringIO())])
def test_no_bar_where_none_is_asked_for_or_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, show: bool, stream: io.StringIO
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(None, show=show) as report:
        run(report, 10, 10)
    assert stream.getvalue() == ""


def test_trackers_get_the_settings_as_numbers_and_text_and_then_the_losses() -> None:
    notebook = Notebook()
    with progress(None, tracker=notebook) as report:
        run(report, 2, 2)
        assert not notebook.finished
    told = {"model": "point", "batch_size": 4, "budget": "20steps", "model_options": "{}"}
    assert told.items() <= notebook.settings.items()
    assert all(isinstance(value, int | float | str) for value in notebook.settings.values())
    assert notebook.values == [({"loss/model": 1.0}, 1), ({"loss/model": 2.0}, 2)]
    assert notebook.finished


def test_trackers_are_finished_after_an_error_too() -> None:
    notebook = Notebook()
    with pytest.raises(KeyError), progress(None, tracker=notebook):
        raise KeyError
    assert notebook.finished


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_wish_until_the_second_one(number: signal.Signals) -> None:
    heard = []
    before = signal.signal(number, lambda *_: heard.append("ours"))
    try:
        with StopSignals() as stop:
            assert not stop.asked
            os.kill(os.getpid(), number)
            assert stop.asked and not heard
            os.kill(os.getpid(), number)
            assert heard == ["ours"]
        os.kill(os.getpid(), number)
        assert heard == ["ours", "ours"]
    finally:
        signal.signal(number, before)


def test_handlers_are_given_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyError), StopSignals():
        raise KeyError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_thread_cannot_hear_signals_and_does_without() -> None:
    asked = []

    def listen() -> None:
        with StopSignals() as stop:
            asked.append(stop.asked)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert asked == [False]
