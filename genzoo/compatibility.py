"""Which trainers and samplers go with which model: found by building each model small and asking what it offers."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from genzoo.capabilities import offers, supports
from genzoo.errors import GenZooError
from genzoo.zoo import Zoo

CONDITIONAL = "conditional"
_EXAMPLES: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((2,), {"levels": None, "num_classes": None}),
    ((1, 8, 8), {"levels": 256, "num_classes": 10}),
)


@dataclass(frozen=True)
class Compatibility:
    """What goes together with a model; ``reason`` says why the model could not be built, and is empty if it could."""

    model: str
    capabilities: tuple[str, ...] = ()
    trainers: tuple[str, ...] = ()
    samplers: tuple[str, ...] = ()
    reason: str = ""


def compatibility(zoo: Zoo) -> list[Compatibility]:
    """One row a model: what it offers on points or on images, and the trainers and samplers that can use that."""
    return [_row(zoo, name) for name in zoo.names("model")]


def examples(zoo: Zoo, name: str) -> list[Any]:
    """The model with its default options, small, for points and for images: one of each that it can be built for.

    Last once more, conditional, if it has an option for that.

    Raises:
        GenZooError: it can be built for neither.
    """
    built: list[Any] = []
    conditional = CONDITIONAL in {option.name for option in zoo.options("model", name)}
    plain: list[dict[str, Any]] = [{}] * len(_EXAMPLES)
    also = [(_EXAMPLES[-1], {CONDITIONAL: True})] if conditional else []
    for (shape, facts), options in [*zip(_EXAMPLES, plain, strict=True), *also]:
        try:
            built.append(zoo.model(name, shape, options, facts))
        except GenZooError as error:
            refusal = error
    if not built:
        raise refusal
    return built


def needs(zoo: Zoo, role: str, name: str) -> tuple[type, ...]:
    """The capabilities that a trainer or sampler needs. Raises GenZooError if it cannot be built."""
    factory = zoo.factory(role, name)
    if isinstance(named := getattr(factory, "needs", None), tuple):  # a property is one of what is built
        return named
    return tuple((zoo.trainer(name) if role == "trainer" else zoo.sampler(name)).needs)


def _row(zoo: Zoo, name: str) -> Compatibility:
    try:
        models = examples(zoo, name)
    except GenZooError as error:
        return Compatibility(name, reason=str(error))
    offered = dict.fromkeys(capability for model in models for capability in offers(model))
    return Compatibility(name, tuple(offered), _fitting(zoo, "trainer", models), _fitting(zoo, "sampler", models))


def _fitting(zoo: Zoo, role: str, models: Collection[Any]) -> tuple[str, ...]:
    return tuple(name for name in zoo.names(role) if _fits(zoo, role, name, models))


def _fits(zoo: Zoo, role: str, name: str, models: Collection[Any]) -> bool:
    try:
        needed = needs(zoo, role, name)
    except GenZooError:
        return False
    return any(supports(model, needed) for model in models)
