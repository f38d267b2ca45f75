"""One training as a folder: prepared, checked before anything is written, carried out.

::

    RUN/config.yaml          what was asked for, every default filled in
    RUN/log.jsonl            losses and rates, a hundred lines
    RUN/checkpoint/          to resume
    RUN/model.safetensors    the averaged weights: the run is finished when it stands
    RUN/training.json        what it cost, and on which machine
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors.torch import save
from torch import nn
from yaml import YAMLError

from genzoo.capabilities import Conditional, require, supports
from genzoo.config import TrainConfig, train_id
from genzoo.data import Data, load
from genzoo.errors import FolderInUse, RunError, UnknownName
from genzoo.files import check_writable, write_atomically, write_json, write_text
from genzoo.processes import this_process
from genzoo.protocols import Sampler, Trainer
from genzoo.provenance import machine
from genzoo.training import Upkeep, check, fit
from genzoo.zoo import Zoo

SCHEMA = "genzoo.run/1"
CONFIG, WEIGHTS, COST = "config.yaml", "model.safetensors", "training.json"


@dataclass(frozen=True)
class Job:
    """A training that was checked and can begin: every name resolved, every default filled in, nothing written."""

    config: TrainConfig
    data: Data
    model: nn.Module
    trainer: Trainer
    versions: Mapping[str, str]

    @property
    def id(self) -> str:
        """The name of its folder; equal for equal trainings."""
        return train_id(self.config, self.data.fingerprint, self.versions)


def facts(data: Data) -> dict[str, Any]:
    """What a factory may want to know of the data."""
    return {"levels": data.levels, "num_classes": data.num_classes}


def prepare(zoo: Zoo, config: TrainConfig, data: Data | None = None) -> Job:
    """Build everything that ``config`` names; raises before any work if something does not go together."""
    zoo.owner("model", config.model)
    data = data or load(config.data, size=config.size)
    torch.manual_seed(config.seed)
    model = zoo.model(config.model, data.shape, config.model_options, facts(data))
    name = config.trainer or model.trainer
    trainer = zoo.trainer(name, config.trainer_options, facts(data))
    require(model, trainer.needs, model_name=config.model, by=name)
    if supports(model, (Conditional,)):
        data.require_labels()
    check(model, trainer, config)
    zoo.owner("sampler", model.sampler)  # what could not be sampled is not trained
    filled = {
        "trainer": name,
        "model_options": zoo.validate("model", config.model, config.model_options, facts(data)),
        "trainer_options": zoo.validate("trainer", name, config.trainer_options, facts(data)),
    }
    owners = (zoo.owner("model", config.model), zoo.owner("trainer", name))
    return Job(config.model_copy(update=filled), data, model, trainer, {o.name: o.version for o in owners})


def prepare_sampler(zoo: Zoo, model: Any, model_name: str, name: str | None, options: Mapping[str, Any]) -> Sampler:
    """The sampler, ``name`` None being the model's own; raises where the model lacks what it needs."""
    name = name or model.sampler
    sampler = zoo.sampler(name, options)
    require(model, sampler.needs, model_name=model_name, by=name)
    return sampler


def execute(job: Job, folder: Path, upkeep: Upkeep | None = None) -> None:
    """Train into ``folder``; only ``upkeep.resume`` goes on in a folder that already holds this run."""
    upkeep = upkeep or Upkeep()
    _check_tracker(upkeep.track)
    if _claim(folder, job, upkeep.resume):
        return
    state = this_process()
    state.wait_for_everyone()  # nobody writes before everybody has looked
    if state.is_main_process:
        write_text(folder / CONFIG, OmegaConf.to_yaml(_description(job)))
    done = fit(job.model, job.trainer, job.data.train, job.config, folder, upkeep)
    if state.is_main_process:
        cost = {key: value for key, value in vars(done).items() if key != "model"}
        write_json(folder / COST, {**cost, **machine()})
        weights = done.model.state_dict()  # cloned below, because tied ones share memory
        copies = {name: t.cpu().clone(memory_format=torch.contiguous_format) for name, t in weights.items()}
        write_atomically(folder / WEIGHTS, save(copies))
    state.wait_for_everyone()


def _description(job: Job) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": job.id,
        "plugins": dict(job.versions),
        "fingerprint": job.data.fingerprint,
        "config": job.config.model_dump(mode="json"),
    }


def _claim(folder: Path, job: Job, resume: bool) -> bool:
    """Whether the run is finished already; raises where the folder belongs to something else."""
    check_writable(folder)
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not (folder / CONFIG).exists():
        raise FolderInUse(f"{folder} holds something that is not a run: give another --out")
    if not resume:
        raise FolderInUse(f"{folder} already holds a run: add --resume to go on with it, or give another --out")
    found = read_description(folder)["id"]
    if found != job.id:
        raise FolderInUse(
            f"{folder} holds another training ({found}, not {job.id}): repeat its settings, or give another --out"
        )
    return (folder / WEIGHTS).exists()


def _check_tracker(track: str | None) -> None:
    if track is None:
        return
    from accelerate.tracking import get_available_trackers

    names = [str(name) for name in get_available_trackers()]
    if track not in names:
        raise UnknownName("tracker", track, names, "install its package for it to be allowed")


def read_description(folder: Path) -> dict[str, Any]:
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
