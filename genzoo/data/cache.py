"""What decoding has cost once is kept: uint8 pixels as safetensors, facts about them as JSON; nothing pickled.

Entries are named by the content they were made of, written to a temporary name and renamed. Whatever cannot be read
back whole counts as absent and is made again. The folder is ``$GENZOO_CACHE``, or ``~/.cache/genzoo``.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from genzoo.errors import DataError, StorageError
from genzoo.files import write_atomically

BLOCK_BYTES = 1 << 20


def root() -> Path:
    """The cache's folder."""
    return Path(os.environ.get("GENZOO_CACHE") or "~/.cache/genzoo").expanduser()


def digest_files(files: Mapping[str, Path]) -> str:
    """sha256 of every file's name, size and bytes: reads each of them once.

    Raises:
        DataError: one of them cannot be read.
    """
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        try:
            digest.update(f"{name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def digest_json(facts: Mapping[str, Any]) -> str:
    """sha256 of the facts as JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def read_facts(entry: str) -> dict[str, Any] | None:
    """The facts stored under ``entry``; None if there are none, or they are damaged."""
    try:
        stored = json.loads((root() / f"{entry}.json").read_text())
        return stored["facts"] if stored["sha256"] == digest_json(stored["facts"]) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_facts(entry: str, facts: Mapping[str, Any]) -> None:
    """Store facts with their checksum."""
    _write(root() / f"{entry}.json", json.dumps({"facts": facts, "sha256": digest_json(facts)}).encode())


def read_arrays(entry: str) -> dict[str, np.ndarray] | None:
    """The arrays stored under ``entry``; None if there are none, or the file does not parse (it has no checksum)."""
    try:
        return load_file(root() / f"{entry}.safetensors")
    except (OSError, SafetensorError):
        return None


def write_arrays(entry: str, arrays: dict[str, np.ndarray]) -> None:
    """Store arrays."""
    _write(root() / f"{entry}.safetensors", save(arrays))


def _write(path: Path, content: bytes) -> None:
    """A cache that cannot be written costs time, never the run."""
    try:
        write_atomically(path, content)
    except (StorageError, OSError) as error:
        warnings.warn(f"decoded images are not kept: {error.__cause__ or error}", stacklevel=2)
