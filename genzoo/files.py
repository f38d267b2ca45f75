"""Writing files so that nobody ever sees half of one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genzoo.errors import StorageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename; raises :class:`StorageError` in one line."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
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
