"""Trained models as the values of options: ``run:FOLDER``, or a training of its own that comes first.

An option asks for one by its annotation: ``reference: Density | None = None``. The factory is given the trained model
itself, in eval mode and without gradients of its parameters. In a configuration stands what was asked for.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field, PositiveInt, ValidationError
from torch import nn

from genzoo.capabilities import require, supports
from genzoo.config import BudgetText, Checked, Norm, Precision, Share, TrainConfig, checked
from genzoo.data import Data, load
from genzoo.errors import InvalidConfig
from genzoo.evaluation.parts import ReferencePart
from genzoo.options import RUN
from genzoo.processes import this_process
from genzoo.trained import damaged, load_weights, read_cost, read_finished, weights_hash
from genzoo.zoo import Zoo


class NestedTraining(Checked):
    """A training that comes first; its data and its seed are those of what needs it."""

    model: str
    set: dict[str, Any] = Field(default_factory=dict)
    trainer: str | None = None
    trainer_set: dict[str, Any] = Field(default_factory=dict)
    budget: BudgetText
    batch_size: PositiveInt | None = None
    ema: Share | None = None
    clip: Norm | None = None
    warmup: Share | None = None
    precision: Precision | None = None

    def config(self, outer: TrainConfig) -> TrainConfig:
        """The training, completely."""
        own = self.model_dump(exclude_none=True, exclude={"set", "trainer_set"})
        loop = {"precision": outer.precision, **own, "budget": self.budget}
        options = {"model_options": self.set, "trainer_options": self.trainer_set}
        return TrainConfig(**{**loop, **options}, data=outer.data, size=outer.size, seed=outer.seed)


class Prepared(Protocol):
    """A training that can begin."""

    model: nn.Module

    @property
    def id(self) -> str: ...


@dataclass(frozen=True)
class Reference:
    """A trained model called ``name``; of ``folder`` if it is trained already, else of the ``job`` that trains it.

    ``identity`` stands for its weights in the id of whatever uses them.
    """

    name: str
    model: nn.Module
    identity: str
    folder: Path | None = None
    job: Any = None

    def place(self, beside: Path) -> Path:
        """The folder of its training; ``beside`` is that of the run that needs it, and may be the working folder."""
        return self.folder or beside.absolute().parent / self.job.id

    def costs(self, key: str, beside: Path) -> dict[str, ReferencePart]:
        """What its training took, as ``key``, and what those took that it needed in turn, as ``key/option``.

        Raises:
            RunError: its folder does not say.
        """
        folder = self.place(beside)
        cost = read_cost(folder)
        try:
            own = ReferencePart(
                model=self.name,
                id=self.identity,
                checkpoint=weights_hash(folder),
                seconds=cost["seconds"],
                flops=cost.get("flops"),
                parameters=cost["parameters"]["total"],
            )
            needed = {f"{key}/{name}": ReferencePart(**part) for name, part in cost.get("references", {}).items()}
        except (AttributeError, KeyError, TypeError, ValidationError) as error:
            raise damaged(folder) from error
        return {key: own, **needed}

    def settle(self, beside: Path) -> None:
        """Give the model its weights, once its training is done."""
        load_weights(self.model, self.place(beside), self.name)


@dataclass(frozen=True)
class Surroundings:
    """What a reference is resolved in: the training that needs it, its data, and how another is prepared."""

    zoo: Zoo
    outer: TrainConfig
    data: Data
    prepare: Callable[[TrainConfig], Any]

    def references(self, role: str, name: str, options: Mapping[str, Any]) -> dict[str, Reference]:
        """Those among the options of a trainer or sampler, by option; raises as :meth:`resolve`."""
        wanted = self.zoo.references(role, name)
        asked = {key: value for key, value in options.items() if key in wanted and isinstance(value, str | Mapping)}
        return {key: self.resolve(f"{name}: {key}", value, wanted[key]) for key, value in asked.items()}

    def resolve(self, where: str, value: str | Mapping[str, Any], kinds: tuple[type, ...]) -> Reference:
        """The model that ``value`` names.

        Raises:
            InvalidConfig: it is neither form, has an unknown key, or makes examples of another shape.
            RunError: no finished run in that folder, or not what it took.
            MissingCapability: the model offers none of ``kinds``.
        """
        found = self._finished(where, value) if isinstance(value, str) else self._nested(where, value)
        if not any(supports(found.model, (kind,)) for kind in kinds):
            require(found.model, kinds[:1], model_name=found.name, by=where)
        found.model.eval().requires_grad_(False)
        return found

    def _finished(self, where: str, value: str) -> Reference:
        if not value.startswith(RUN):
            ways = "run:FOLDER, or a configuration {model: NAME, budget: 60s}"
            raise InvalidConfig(f"{where}: {value!r} is no trained model: give {ways}")
        folder = Path(value.removeprefix(RUN))
        description = read_finished(folder)
        config = checked(TrainConfig, description["config"], str(folder))
        shape = self.data.shape
        if description.get("fingerprint") != self.data.fingerprint:
            shape = load(config.data, size=config.size).shape
        if shape != self.data.shape:
            raise InvalidConfig(f"{where}: {folder} is of examples {shape}, {self.data.name} has {self.data.shape}")
        model = load_weights(self.zoo.model(config.model, shape, config.model_options), folder, config.model)
        found = Reference(config.model, model, f"{description['id']}@{weights_hash(folder)}", folder)
        found.costs(where, folder)  # what nobody could account for is told before any work
        return found

    def _nested(self, where: str, value: Mapping[str, Any]) -> Reference:
        job = self.prepare(checked(NestedTraining, value, where).config(self.outer))
        model = copy.deepcopy(job.model).to(this_process().device)
        return Reference(job.config.model, model, job.id, job=job)
