"""What a training tells: the progress bar, ``log.jsonl`` and trackers; and how it hears that it should stop."""

import json
import math
import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from accelerate import Accelerator
from tqdm import tqdm

from genzoo.config import TrainConfig
from genzoo.files import append_line, write_text

LOG_POINTS = 100
BAR = "{desc} {percentage:3.0f}% {bar:24} {postfix} [{elapsed}<{remaining}]"


class Progress:
    """Means of the losses since the last line, a hundred lines a run, on the main process only."""

    def __init__(self, config: TrainConfig, folder: Path | None, accelerator: Accelerator, step: int, *, show: bool):
        self._accelerator = accelerator
        self._log = folder / "log.jsonl" if folder and accelerator.is_main_process else None
        self._trim(step)
        settings = config.model_dump(mode="json").items()  # trackers take numbers and text alone
        accelerator.init_trackers("genzoo", {k: v if isinstance(v, int | float) else str(v) for k, v in settings})
        hide = None if show and accelerator.is_main_process else True  # None: where standard error is no terminal
        self._bar = tqdm(total=100.0, desc=f"{config.model} on {config.data}", bar_format=BAR, disable=hide, leave=True)
        self._sums: dict[str, float] = {}
        self._since, self._mark, self._shown = 0, -1, (0, 0.0)

    def _trim(self, step: int) -> None:
        """Forget the lines after the checkpoint that this training goes on from."""
        if self._log and self._log.exists():
            lines = [line for line in self._log.read_text().splitlines() if _step(line) <= step]
            write_text(self._log, "".join(line + "\n" for line in lines))

    def update(self, step: int, images: int, seconds: float, fraction: float, losses: dict[str, float]) -> None:
        """Take note of one step; write a line when another hundredth of the budget is spent."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._since += 1
        if self._mark < 0:
            self._bar.initial = 100 * fraction  # a resumed training's rate and ETA are those of this process
        if (mark := int(fraction * LOG_POINTS)) > self._mark:
            self._mark = mark
            self._write(step, images, seconds, fraction)

    def _write(self, step: int, images: int, seconds: float, fraction: float) -> None:
        means = {name: total / self._since for name, total in self._sums.items()}
        rate = (images - self._shown[0]) / max(seconds - self._shown[1], 1e-3)
        self._sums, self._since, self._shown = {}, 0, (images, seconds)
        line: dict[str, Any] = {"step": step, "images": images, "seconds": round(seconds, 3), "loss": means}
        if self._log:
            append_line(self._log, json.dumps(line | {"images_per_second": round(rate, 1)}))
        self._bar.n = min(100.0, 100 * fraction)
        self._bar.set_postfix_str(f"{_short(means)} {rate:,.0f} img/s")
        self._accelerator.log({f"loss/{name}": value for name, value in means.items()}, step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._bar.n = 100.0
            self._bar.refresh()
        self._bar.close()
        for tracker in self._accelerator.trackers:  # and not end_training, which ends the process group as well
            tracker.finish()


def _step(line: str) -> float:
    """The step of a line of the log; a line that a crash cut off is later than any."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return math.inf


def _short(losses: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3g}" for name, value in losses.items())


class StopSignals:
    """Turns SIGINT and SIGTERM into a flag that the loop reads between two steps; a second one is not caught."""

    def __init__(self) -> None:
        self.asked = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, self._previous[number])

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
