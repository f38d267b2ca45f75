"""How one sample set is drawn from a trained model: by which sampler, guided how; checked before any work."""

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import NoisyClassifier
from genzoo.config import SampleConfig, TrainConfig, checked
from genzoo.data import Data
from genzoo.errors import InvalidConfig
from genzoo.evaluation.parts import ReferencePart
from genzoo.guidance import Guidance, check
from genzoo.jobs import prepare_sampler, sampler_of, settle, surroundings
from genzoo.protocols import Sampler
from genzoo.references import Reference, Surroundings
from genzoo.sampling import Counted, needed_parameters
from genzoo.training import Upkeep
from genzoo.zoo import Zoo

CLASSIFIER = "classifier"
Labels = Tensor | Sequence[int] | int | None


@dataclass(frozen=True)
class Drawing:
    """What ``config``, every default filled in, asks for.

    ``references`` are the trained models that take part, ``counted`` those that the sampler has as options.
    """

    config: SampleConfig
    sampler: Sampler
    guidance: Guidance | None = None
    references: Mapping[str, Reference] = field(default_factory=dict)
    counted: tuple[Counted, ...] = ()

    def parameters(self, model: Any) -> int:
        """How many it needs of the model, and of the other trained models."""
        return needed_parameters(self.sampler, model, self.guidance, self.counted)

    def settle(self, run: Path) -> dict[str, ReferencePart]:
        """Train what has to be trained first, beside the folder of the ``run`` that is drawn from; what that took."""
        return settle(self.references, run, Upkeep())


def prepare_drawing(zoo: Zoo, model: Any, trained: TrainConfig, data: Data, config: SampleConfig) -> Drawing:
    """Build what ``config`` names, for a ``model`` that was ``trained`` on ``data``.

    Raises:
        GenZooError: something does not go together.
    """
    name = sampler_of(model, trained.model, config.sampler)
    around = surroundings(zoo, trained, data)
    options = zoo.validate("sampler", name, config.options)
    references = around.references("sampler", name, options)
    kinds = zoo.references("sampler", name)
    counted = {key: Counted(reference.model, kinds[key]) for key, reference in references.items()}
    sampler = prepare_sampler(zoo, model, trained.model, name, {**options, **counted})
    judges = _judges(around, config, name, options)
    guidance = _guidance(config, judges.get(CLASSIFIER))
    references |= judges
    check(model, guidance, sampler.needs, model_name=trained.model, by=name)
    weights = {key: reference.identity for key, reference in references.items()}
    filled = config.model_copy(update={"sampler": name, "options": options, "weights": weights})
    return Drawing(filled, sampler, guidance, references, tuple(counted.values()))


def _judges(
    around: Surroundings, config: SampleConfig, sampler: str, options: Mapping[str, Any]
) -> dict[str, Reference]:
    """The classifier that guides, if there is one."""
    if config.classifier is None:
        return {}
    if CLASSIFIER in options:
        told = f"{sampler} has an option {CLASSIFIER!r} of its own"
        raise InvalidConfig(f"{told}: leave out the {CLASSIFIER} that guides, or take another sampler")
    return {CLASSIFIER: around.resolve(CLASSIFIER, config.classifier, (NoisyClassifier,))}


def _guidance(config: SampleConfig, classifier: Reference | None) -> Guidance | None:
    if config.guidance is None and classifier is not None:
        raise InvalidConfig("a classifier guides as strongly as guidance says, and that is not given: 1 is Bayes' rule")
    return None if config.guidance is None else Guidance(config.guidance, classifier and classifier.model)


def asked(
    where: str,
    sampler: str | None,
    options: Mapping[str, Any] | None,
    guidance: float | None,
    classifier: str | Mapping[str, Any] | None,
    seed: int,
    num_samples: int | None = None,
) -> SampleConfig:
    """What a user says of a drawing, checked; ``where`` opens the message of :class:`InvalidConfig`."""
    drawn = {"sampler": sampler, "options": dict(options or {}), "guidance": guidance, "seed": seed}
    return checked(SampleConfig, {**drawn, "classifier": classifier, "num_samples": num_samples}, where)


def one_a_sample(labels: Labels, n: int) -> Tensor | None:
    """The labels of ``n`` samples, where one may stand for all; raises :class:`InvalidConfig` where they are none."""
    if labels is None:
        return None
    try:
        given = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        told = f"labels {reprlib.repr(labels)} are no whole numbers"
        raise InvalidConfig(f"{told}: give one for all samples, or {n}, one a sample") from error
    return given if given.dim() else given.expand(n)
