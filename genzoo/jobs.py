"""One training: prepared, checked before anything is written, carried out into its folder (:mod:`genzoo.trained`)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from safetensors.torch import save
from torch import nn

from genzoo.capabilities import Conditional, require, supports
from genzoo.config import TrainConfig, train_id
from genzoo.data import Data, load
from genzoo.errors import FolderInUse, MissingCapability, UnknownName
from genzoo.evaluation.parts import ReferencePart
from genzoo.files import check_writable, write_atomically, write_json, write_text
from genzoo.processes import this_process
from genzoo.protocols import Sampler, Trainer
from genzoo.provenance import machine
from genzoo.references import Reference, Surroundings
from genzoo.trained import CONFIG, COST, SCHEMA, WEIGHTS, read_description
from genzoo.training import Upkeep, check, fit
from genzoo.zoo import Zoo

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A training that was checked and can begin: every name resolved, every default filled in, nothing written."""

    config: TrainConfig
    data: Data
    model: nn.Module
    trainer: Trainer
    versions: Mapping[str, str]
    references: Mapping[str, Reference] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name of its folder; equal for equal trainings, with reference models of equal weights."""
        identities = {key: reference.identity for key, reference in self.references.items()}
        options = {**self.config.trainer_options, **identities}
        config = self.config.model_copy(update={"trainer_options": options})
        return train_id(config, self.data.fingerprint, self.versions)


def facts(data: Data) -> dict[str, Any]:
    """What a factory may want to know of the data."""
    return {"levels": data.levels, "num_classes": data.num_classes, "num_examples": len(data.train)}


def surroundings(zoo: Zoo, config: TrainConfig, data: Data) -> Surroundings:
    """In which the references of a training, or of its samplings, are resolved."""
    return Surroundings(zoo, config, data, partial(prepare, zoo, data=data))


def prepare(zoo: Zoo, config: TrainConfig, data: Data | None = None) -> Job:
    """Build everything that ``config`` names; raises before any work if something does not go together."""
    zoo.owner("model", config.model)
    data = data or load(config.data, size=config.size)
    torch.manual_seed(config.seed)
    model = zoo.model(config.model, data.shape, config.model_options, facts(data))
    name = config.trainer or model.trainer
    asked = zoo.validate("trainer", name, config.trainer_options, facts(data))
    references = surroundings(zoo, config, data).references("trainer", name, asked)
    models = {key: reference.model for key, reference in references.items()}
    trainer = zoo.trainer(name, {**config.trainer_options, **models}, facts(data))
    require(model, trainer.needs, model_name=config.model, by=name)
    if supports(model, (Conditional,)):
        data.require_labels()
    check(model, trainer, config)
    if model.sampler:
        zoo.owner("sampler", model.sampler)  # what could not be sampled is not trained
    filled = {
        "trainer": name,
        "model_options": zoo.validate("model", config.model, config.model_options, facts(data)),
        "trainer_options": asked,
    }
    owners = (zoo.owner("model", config.model), zoo.owner("trainer", name))
    versions = {o.name: o.version for o in owners}
    return Job(config.model_copy(update=filled), data, model, trainer, versions, references)


def sampler_of(model: Any, model_name: str, name: str | None) -> str:
    """``name``, or the sampler that the model names; raises :class:`MissingCapability` where it makes no samples."""
    if not (name or model.sampler):
        raise MissingCapability(f"{model_name} makes no samples: it is for options that take a trained model")
    return name or str(model.sampler)


def prepare_sampler(zoo: Zoo, model: Any, model_name: str, name: str | None, options: Mapping[str, Any]) -> Sampler:
    """The sampler, ``name`` None being the model's own; raises where the model lacks what it needs."""
    name = sampler_of(model, model_name, name)
    sampler = zoo.sampler(name, options)
    require(model, sampler.needs, model_name=model_name, by=name)
    return sampler


def execute(job: Job, folder: Path, upkeep: Upkeep | None = None) -> None:
    """Train into ``folder``; only ``upkeep.resume`` goes on in a folder that already holds this run."""
    upkeep = upkeep or Upkeep()
    _check_tracker(upkeep.track)
    if _claim(folder, job, upkeep.resume):
        return
    references = settle(job.references, folder, upkeep)
    state = this_process()
    state.wait_for_everyone()  # nobody writes before everybody has looked
    if state.is_main_process:
        write_text(folder / CONFIG, OmegaConf.to_yaml(_description(job)))
    done = fit(job.model, job.trainer, job.data.train, job.config, folder, upkeep)
    if state.is_main_process:
        cost = {key: value for key, value in vars(done).items() if key != "model"}
        needed = {key: part.model_dump(mode="json") for key, part in references.items()}
        write_json(folder / COST, {**cost, **machine(), **({"references": needed} if needed else {})})
        weights = done.model.state_dict()  # cloned below, because tied ones share memory
        copies = {name: t.cpu().clone(memory_format=torch.contiguous_format) for name, t in weights.items()}
        write_atomically(folder / WEIGHTS, save(copies))
    state.wait_for_everyone()


def settle(references: Mapping[str, Reference], beside: Path, upkeep: Upkeep) -> dict[str, ReferencePart]:
    """Carry out the trainings that come first, each into its own folder, and give the models their weights.

    Returns what these trainings took, and those that they needed: :meth:`genzoo.references.Reference.costs`.
    """
    for key, reference in references.items():
        if reference.job is not None:
            log.info("training %s, for %r", reference.name, key)
            execute(reference.job, reference.place(beside), replace(upkeep, resume=True))
            reference.settle(beside)
    costs = [reference.costs(key, beside) for key, reference in references.items()]
    return {key: part for each in costs for key, part in each.items()}


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
