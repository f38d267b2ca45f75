"""The results folder: what is in it, and what of it is finished.

::

    OUT/<train_id>/                 config.yaml, log.jsonl, model.safetensors, checkpoint/
    OUT/<train_id>/samples/<sample_id>/   samples.npz, samples.png, record.json

Every file appears under its final name only when it is complete, so a training is finished when its
``model.safetensors`` stands, and a sample set when its ``record.json`` does. The record is the truth; reports are made
from it and can be thrown away. Samples and weights may be: a report needs neither, and a suite makes them again.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genzoo.errors import FolderInUse, RunError
from genzoo.evaluation.record import Record, read_record
from genzoo.files import check_writable

WEIGHTS, CONFIG, LOG, SAMPLES, RECORD = "model.safetensors", "config.yaml", "log.jsonl", "samples.npz", "record.json"
PICTURE, DRY_RUN = "samples.png", "dry-run.json"


@dataclass(frozen=True)
class Entry:
    """One sample set of a results folder: ``OUT/<train_id>/samples/<sample_id>`` and its record."""

    folder: Path
    record: Record

    @property
    def sample_id(self) -> str:
        return self.folder.name

    @property
    def train_id(self) -> str:
        return self.folder.parent.parent.name

    def samples(self) -> np.ndarray | None:
        """uint8 images [n, h, w, c] or float32 points [n, 2]; None where none were kept."""
        try:
            with np.load(self.folder / SAMPLES, allow_pickle=False) as file:
                return file["arr_0"]
        except Exception:  # what a damaged file leads numpy, zipfile and zlib to
            return None

    def picture(self) -> bytes | None:
        """The sample grid as PNG; None where there is none."""
        path = self.folder / PICTURE
        return path.read_bytes() if path.is_file() else None

    def log(self) -> list[dict[str, Any]]:
        """The lines of the training log that tell losses; a last one cut off by a crash is left out."""
        path = self.folder.parent.parent / LOG
        lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
        return [line for line in map(_parse, lines) if _tells_losses(line)]


@dataclass(frozen=True)
class Results:
    """The finished sample sets of a results folder, and one line about each thing that was passed over."""

    folder: Path
    entries: tuple[Entry, ...]
    skipped: tuple[str, ...]


def find_training(out: Path, train_id: str) -> Path | None:
    """The folder of a finished training, or None."""
    folder = out / train_id
    return folder if (folder / WEIGHTS).is_file() else None


def find_samples(out: Path, train_id: str, sample_id: str) -> Entry | None:
    """A sample set that was drawn, evaluated and kept, or None: a failed one counts as not yet done."""
    entry = _read(out / train_id / "samples" / sample_id)
    if isinstance(entry, str) or entry.record.status != "ok" or not (entry.folder / SAMPLES).is_file():
        return None
    return entry


def load(folder: Path) -> Results:
    """Everything a report needs; raises :class:`RunError` when ``folder`` is not a results folder."""
    found = [_read(path) for path in sorted(folder.glob("*/samples/*")) if path.is_dir()]
    entries = tuple(entry for entry in found if isinstance(entry, Entry))
    skipped = (*_unfinished(folder), *(line for line in found if isinstance(line, str)))
    if not entries:
        raise RunError(_not_results(folder, skipped))
    return Results(folder, entries, skipped)


def check_output(folder: Path) -> None:
    """Raise :class:`FolderInUse` when ``folder`` cannot be made or holds anything but results, before work begins."""
    check_writable(folder)
    found = sorted(path for path in folder.glob("*") if path.name != DRY_RUN)
    if not any(map(_is_run, found)) and not all(map(_is_begun_reference, found)):
        raise FolderInUse(f"{folder} holds something else ({found[0].name}): give another --out, or an empty folder")


def _is_run(folder: Path) -> bool:
    records = folder.glob(f"samples/*/{RECORD}")
    return _says(folder / CONFIG, "schema: genzoo.run/") or any(_says(path, '"genzoo.eval/') for path in records)


def _is_begun_reference(folder: Path) -> bool:
    """Whether it holds sample sets without records and nothing else, as a reference row that was cut off does."""
    kept = {path.name for path in folder.glob("samples/*/*") if path.suffix != ".tmp"}
    flat = all(path.is_dir() for path in folder.glob("samples/*"))
    return flat and kept <= {SAMPLES, PICTURE} and [path.name for path in folder.glob("*")] == ["samples"]


def _says(path: Path, words: str) -> bool:
    return path.is_file() and words in path.read_text(errors="replace")


def _unfinished(folder: Path) -> list[str]:
    runs = sorted(path for path in folder.glob("*") if (path / CONFIG).is_file() and not (path / WEIGHTS).is_file())
    return [f"{run.name}: training is not finished" for run in runs if not any(run.glob(f"samples/*/{RECORD}"))]


def _not_results(folder: Path, skipped: tuple[str, ...]) -> str:
    if not folder.is_dir():
        return f"{folder} is not a folder: give a results folder, as 'genzoo bench --out' makes it"
    if (folder / "samples").is_dir():
        return f"{folder} is one run: give the results folder above it, {folder.absolute().parent}"
    if skipped:
        return f"{folder} has no finished run yet ({skipped[0]}): run 'genzoo bench' again with this --out"
    return f"{folder} is not a results folder, it holds no */samples/*/{RECORD}: 'genzoo bench --out' makes one"


def _read(folder: Path) -> Entry | str:
    """The entry, or one line that says why it is passed over."""
    path = folder / RECORD
    if not path.is_file():
        return f"{'/'.join(folder.parts[-3:])}: half written, it has no {RECORD}"
    try:
        return Entry(folder, read_record(path))
    except RunError as error:
        return str(error)


def _tells_losses(line: Any) -> bool:
    """Whether it is a line as the training writes them; the file may be anybody's."""
    if not isinstance(line, dict) or not isinstance(line.get("loss"), dict):
        return False
    return all(isinstance(number, int | float) for number in (line.get("images"), *line["loss"].values()))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
