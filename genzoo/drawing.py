"""How one sample set is drawn from a trained model: by which sampler, guided how; checked before any work."""

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
from genzoo.guidance import Guidance, check
from genzoo.jobs import prepare_sampler, sampler_of, settle, surroundings
from genzoo.protocols import Sampler
from genzoo.references import Reference
from genzoo.sampling import needed_parameters
from genzoo.training import Upkeep
from genzoo.zoo import Zoo

CLASSIFIER = "classifier"
Labels = Tensor | Sequence[int] | int | None


@dataclass(frozen=True)
class Drawing:
    """What ``config``, every default filled in, asks for; ``references`` are the trained models that take part."""

    config: SampleConfig
    sampler: Sampler
    guidance: Guidance | None = None
    references: Mapping[str, Reference] = field(default_factory=dict)

    def parameters(self, model: Any) -> int:
        """How many it needs of the model, and of the classifier."""
        return needed_parameters(self.sampler, model, self.guidance)

    def settle(self, run: Path) -> None:
        """Train what has to be trained first, beside the folder of the ``run`` that is drawn from."""
        settle(self.references, run, Upkeep())


def prepare_drawing(zoo: Zoo, model: Any, trained: TrainConfig, data: Data, config: SampleConfig) -> Drawing:
    """Build what ``config`` names, for a ``model`` that was ``trained`` on ``data``.

    Raises:
        GenZooError: something does not go together.
    """
    name = sampler_of(model, trained.model, config.sampler)
    around = surroundings(zoo, trained, data)
    options = zoo.validate("sampler", name, config.options)
    references = around.references("sampler", name, options)
    models = {key: reference.model for key, reference in references.items()}
    sampler = prepare_sampler(zoo, model, trained.model, name, {**options, **models})
    if config.classifier is not None:
        references[CLASSIFIER] = around.resolve(CLASSIFIER, config.classifier, (NoisyClassifier,))
    guidance = _guidance(config, references.get(CLASSIFIER))
    check(model, guidance, sampler.needs, model_name=trained.model, by=name)
    weights = {key: reference.identity for key, reference in references.items()}
    filled = config.model_copy(update={"sampler": name, "options": options, "weights": weights})
    return Drawing(filled, sampler, guidance, references)


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
) -> SampleConfig:
    """What a user says of a drawing, checked; ``where`` opens the message of :class:`InvalidConfig`."""
    drawn = {"sampler": sampler, "options": dict(options or {}), "guidance": guidance, "seed": seed}
    return checked(SampleConfig, {**drawn, "classifier": classifier}, where)


def one_a_sample(labels: Labels, n: int) -> Tensor | None:
    """The labels of ``n`` samples, where one may stand for all."""
    if labels is None:
        return None
    return torch.full((n,), labels) if isinstance(labels, int) else torch.as_tensor(labels)
