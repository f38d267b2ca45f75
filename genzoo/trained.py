"""What a finished training left in its folder: what was asked for, and the weights.

::

    RUN/config.yaml          what was asked for, every default filled in
    RUN/log.jsonl            losses and rates, a hundred lines
    RUN/checkpoint/          to resume
    RUN/model.safetensors    the averaged weights: the run is finished when it stands
    RUN/training.json        what it cost, and on which machine
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from yaml import YAMLError

from genzoo.errors import RunError
from genzoo.images import laid_out
from genzoo.processes import this_process

SCHEMA = "genzoo.run/1"
CONFIG, WEIGHTS, COST = "config.yaml", "model.safetensors", "training.json"


def read_description(folder: Path) -> dict[str, Any]:
    """What was asked for; raises :class:`RunError` where ``folder`` is no run, or of another version."""
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder} is not a run, it has no {CONFIG}: give a folder that 'genzoo train' made")
    try:
        found: Any = OmegaConf.to_container(OmegaConf.load(folder / CONFIG))
    except (OSError, UnicodeError, YAMLError, OmegaConfBaseException) as error:
        raise RunError(f"{folder / CONFIG} cannot be read: train again with another --out") from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise RunError(f"{folder} has schema {schema!r}, this version reads {SCHEMA!r}: use the genzoo that made it")
    for key in ("id", "config"):
        if key not in found:
            raise RunError(f"{folder / CONFIG} lacks {key!r}, somebody changed it: train again with another --out")
    return found


def read_finished(folder: Path) -> dict[str, Any]:
    """The same of a training that is finished; raises :class:`RunError` where it is half written."""
    found = read_description(folder)
    for needed in (WEIGHTS, COST):
        if not (folder / needed).is_file():
            raise RunError(f"{folder} is half written, it has no {needed}: finish it with 'genzoo train ... --resume'")
    return found


def read_cost(folder: Path) -> dict[str, Any]:
    """Steps, images seen, seconds, precision, peak memory, parameters and machine of the training."""
    try:
        return json.loads((folder / COST).read_text())
    except (OSError, ValueError) as error:
        raise damaged(folder) from error


def damaged(folder: Path) -> RunError:
    """What is told of a training that does not say what it took."""
    return RunError(f"{folder / COST} is missing or damaged: train again with another --out")


def load_weights(model: nn.Module, folder: Path, name: str) -> nn.Module:
    """The model with the averaged weights, in eval mode, on this process's device; ``name`` is what it is called."""
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{folder / WEIGHTS} does not fit {name} as installed: {reason}") from error
    return laid_out(model).to(this_process().device).eval()


def weights_hash(folder: Path) -> str:
    """sha256 of the weights."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
