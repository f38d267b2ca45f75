"""Checkpoints without pickle: any tree of tensors, numbers, strings, lists and dicts as safetensors and JSON.

A checkpoint is ``checkpoint/<step>/rank<r>.safetensors``, one file a process (random state and replay buffers differ
between processes), and ``checkpoint/latest.json``, which is replaced last: whatever kills the process, ``latest.json``
names a complete checkpoint.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from genzoo.errors import RunError
from genzoo.files import write_atomically

LATEST = "latest.json"


def pack(tree: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """A JSON-able copy of ``tree`` in which every tensor is replaced by its key in ``tensors``."""
    if isinstance(tree, Tensor):
        key = f"{len(tensors)}{path}"  # the number makes it unique whatever the keys of the dicts are
        tensors[key] = tree.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": key}
    if isinstance(tree, dict):
        return {"dict": [[key, pack(value, tensors, f"{path}/{key}")] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return {"list": [pack(value, tensors, f"{path}/{i}") for i, value in enumerate(tree)]}
    return tree


def unpack(tree: Any, tensors: Callable[[str], Tensor]) -> Any:
    """The inverse of :func:`pack` (tuples come back as lists)."""
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return tensors(tree["tensor"])
    if "dict" in tree:
        return {key: unpack(value, tensors) for key, value in tree["dict"]}
    return [unpack(value, tensors) for value in tree["list"]]


def write_tree(path: Path, tree: Any) -> None:
    """One safetensors file whose header holds the tree's JSON, written under a temporary name and renamed."""
    tensors: dict[str, Tensor] = {}
    header = json.dumps(pack(tree, tensors))
    write_atomically(path, save(tensors, metadata={"tree": header}))


def read_tree(path: Path) -> Any:
    """What :func:`write_tree` wrote; raises :class:`RunError` when the file is damaged or missing."""
    try:
        with safe_open(path, framework="pt") as file:
            return unpack(json.loads(file.metadata()["tree"]), file.get_tensor)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is not a readable checkpoint ({error}): train again with another --out") from error


def save_checkpoint(folder: Path, tree: Any, step: int, rank: int, barrier: Callable[[], None]) -> None:
    """Write this process's part; when every process has, point ``latest.json`` at it and drop the older ones."""
    part = folder / str(step) / f"rank{rank}.safetensors"
    write_tree(part, tree)
    barrier()
    if rank == 0:
        write_atomically(folder / LATEST, json.dumps({"step": step}).encode())
        for old in folder.iterdir():
            if old.is_dir() and old.name != str(step):
                shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, rank: int) -> Any | None:
    """The newest complete checkpoint of this process, or None where there is none yet."""
    latest = folder / LATEST
    if not latest.exists():
        return None
    try:
        step = json.loads(latest.read_text())["step"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{latest} is damaged: train again with another --out") from error
    part = folder / str(step) / f"rank{rank}.safetensors"
    if not part.exists():
        raise RunError(f"{part} is missing: resume with as many processes as the checkpoint was written by")
    return read_tree(part)
