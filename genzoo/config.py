"""What a run is, as frozen data: its budget, its training and sampling configuration, and their ids."""

import json
import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PositiveInt,
    ValidationError,
)

from genzoo.errors import InvalidConfig
from genzoo.options import suggest

_UNITS = {"s": (1, "seconds"), "m": (60, "seconds"), "h": (3600, "seconds"), "img": (1, "images"),
          "kimg": (1000, "images"), "steps": (1, "steps")}  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """How long to train: an amount of ``"images"`` seen, of optimisation ``"steps"`` or of ``"seconds"``."""

    amount: float
    unit: Literal["images", "steps", "seconds"]

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """A positive number and its unit: ``60s``, ``1.5m``, ``2h``, ``20000img``, ``20kimg``, ``500steps``.

        Raises:
            InvalidConfig: another unit, no unit, nothing to spend, or a part of an image or step.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]+)", text.strip(), re.ASCII)
        if match is None or match[2] not in _UNITS:
            raise InvalidConfig(f"budget {text!r} is no number with a unit (allowed: {', '.join(_UNITS)}), such as 60s")
        scale, unit = _UNITS[match[2]]
        amount = round(float(match[1]) * scale, 6)
        if not 0 < amount < math.inf or (unit != "seconds" and amount != int(amount)):
            raise InvalidConfig(f"budget {text!r} must be more than zero, and a whole number of images or steps")
        return cls(amount, unit)  # type: ignore[arg-type]

    def fraction(self, *, images: int, steps: int, seconds: float) -> float:
        """The share of the budget that is spent, in [0, 1]."""
        spent = {"images": images, "steps": steps, "seconds": seconds}[self.unit]
        return min(1.0, spent / self.amount)

    def __str__(self) -> str:
        number = f"{self.amount:.6f}".rstrip("0").rstrip(".")
        return number + {"images": "img", "steps": "steps", "seconds": "s"}[self.unit]


def _read_budget(value: Any) -> Any:
    """A budget from its text; pydantic wants a ValueError to say where it stands."""
    try:
        return Budget.parse(value) if isinstance(value, str) else value
    except InvalidConfig as error:
        raise ValueError(error) from error


BudgetText = Annotated[Budget, BeforeValidator(_read_budget), PlainSerializer(str)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Share = Annotated[float, Field(ge=0, le=1)]
Norm = Annotated[float, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]
Precision = Literal["auto", "float32", "bf16"]
Regime = Literal["equal-parameters", "equal-training", "equal-calls"]


class Checked(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class TrainConfig(Checked):
    """One training, completely.

    ``trainer`` None is the model's own. ``ema`` is the width of the moving average of the weights as a share of the
    training so far, 0 for none; ``clip`` the largest norm of the gradient, 0 for none; ``warmup`` the share of the
    budget over which the learning rate rises.
    """

    model: str
    model_options: dict[str, Any] = {}
    data: str
    size: PositiveInt | None = None
    trainer: str | None = None
    trainer_options: dict[str, Any] = {}
    budget: BudgetText
    seed: Seed = 0
    batch_size: PositiveInt = 128
    ema: Share = 0.1
    clip: Norm = 1.0
    warmup: Share = 0.02
    precision: Precision = "auto"


class SampleConfig(Checked):
    """One sample set of a trained model: ``sampler`` None is the model's own, ``num_samples`` None the protocol's.

    A conditional model is asked for every class in turn, as strongly as ``guidance`` says (:mod:`genzoo.guidance`);
    ``classifier`` is what guides in place of the model itself, ``run:FOLDER`` or a training of its own. ``weights`` are
    filled in: which weights the trained models stand for that it names.
    """

    sampler: str | None = None
    options: dict[str, Any] = {}
    num_samples: PositiveInt | None = None
    seed: Seed = 0
    extractor: str | None = None
    guidance: Weight | None = None
    classifier: str | dict[str, Any] | None = None
    weights: dict[str, str] = {}

    def drawing(self) -> str:
        """What of it says how samples are drawn, beside their number and seed; empty where nothing does."""
        named = [key for key in ("guidance", "classifier") if getattr(self, key) is not None]
        return ", ".join([*([self.sampler] if self.sampler else []), *self.options, *named])


_YOUNGER = ("guidance", "weights")
"""Keys that older sample sets lack: left out where they say nothing, so that the ids of those stay what they were."""

_C = TypeVar("_C", bound=BaseModel)


def checked(kind: type[_C], values: Mapping[str, Any], where: str) -> _C:
    """``values`` as a configuration.

    Raises:
        InvalidConfig: one line that names ``where``, the path of the first wrong key, and what is allowed.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = min(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
        raise InvalidConfig(f"{where}: {_told(kind, first)}") from error  # a misspelt key before the one it misses


def _told(kind: type[BaseModel], detail: Any) -> str:
    path = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        *above, key = detail["loc"]
        return f"unknown key {path!r}{suggest(str(key), _keys(kind, above))}"
    if detail["type"] == "missing":
        return f"key {path!r} is missing"
    if detail["type"] == "value_error":  # ours, and names the value itself
        return f"{path}: {detail['ctx']['error']}"
    return f"{path} = {reprlib.repr(detail['input'])}: {detail['msg']}"


def _keys(kind: Any, path: Sequence[int | str]) -> list[str]:
    """The keys allowed below ``path``."""
    for key in path:
        if isinstance(key, str):
            kind = _nested(kind.model_fields[key].annotation)
    return list(kind.model_fields)


def _nested(annotation: Any) -> Any:
    """The configuration class inside an annotation such as ``list[Table]``."""
    while get_args(annotation):
        annotation = get_args(annotation)[0]
    return annotation


def train_id(config: TrainConfig, fingerprint: str, plugin_versions: Mapping[str, str]) -> str:
    """The name of a training's folder, such as ``ddpm-digits-1a2b3c4d``.

    Two trainings share it exactly when model, trainer, options, data, budget, seed and plugin versions agree; hand in
    options with their defaults filled in (:meth:`genzoo.zoo.Zoo.validate`), so that naming a default changes nothing.
    """
    digest = _digest(config.model_dump(mode="json"), fingerprint, dict(plugin_versions))
    return f"{slug(config.model)}-{slug(config.data)}-{digest}"


def sample_id(
    config: SampleConfig,
    train: str,
    protocol: str,
    plugin_versions: Mapping[str, str],
    judged: Mapping[str, Any] | None = None,
) -> str:
    """The name of a sample set's folder, such as ``ddim-5e6f7a8b``; ``train`` is its :func:`train_id`.

    ``judged`` is what was asked of its judges beyond the usual. Of trained models that take part the weights count, not
    where they lie.
    """
    unusual = [dict(judged)] if judged else []
    asked = config.model_dump(mode="json", exclude={"classifier": True, "options": set(config.weights)})
    asked = {key: value for key, value in asked.items() if key not in _YOUNGER or value not in (None, {})}
    digest = _digest(asked, train, protocol, dict(plugin_versions), *unusual)
    return f"{slug(config.sampler or 'default')}-{digest}"


def _digest(*parts: Any) -> str:
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:8]


def slug(name: str) -> str:
    """``name`` as part of a folder's name: lower-case letters, digits and hyphens, the last 32 of them."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[-32:].strip("-")
