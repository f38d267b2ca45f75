"""Writing files so that nobody ever sees half of one."""

import json
import os
import reprlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from genzoo.errors import FolderInUse, StorageError


def check_writable(folder: Path) -> None:
    """Raise :class:`FolderInUse` where ``folder`` is a file, is below one, or may not be written to; makes nothing."""
    nearest = next(path for path in (folder, *folder.parents) if is_there(path))
    if not nearest.is_dir():
        raise FolderInUse(f"{nearest} is a file: give another --out")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise FolderInUse(f"{nearest} may not be written to: give another --out")


def is_there(path: Path) -> bool:
    """Raises :class:`FolderInUse` where no such file can be, such as one with a name of 300 characters."""
    try:
        return path.exists()
    except OSError as error:
        raise FolderInUse(f"{reprlib.repr(str(path))} is no path ({error.strerror}): give another --out") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename; raises :class:`StorageError` in one line."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


def append_line(path: Path, line: str) -> None:
    """Add a line to a log; a reader must expect the last one to be cut off. Raises :class:`StorageError`."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; what was written before is complete: free space or "
            "choose another folder, then run the same command again (train: with --resume)"
        ) from error


def write_text(path: Path, text: str) -> None:
    """:func:`write_atomically` of UTF-8 text."""
    write_atomically(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """:func:`write_atomically` of indented JSON; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")
