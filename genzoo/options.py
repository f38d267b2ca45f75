"""A factory's options: its parameters that can be given by name, with their annotations and defaults.

The signature is the only place where an option is declared; what a user gives is checked and converted against it.
"""

import difflib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typing_extensions import is_protocol

from genzoo.errors import InvalidOption

REQUIRED = inspect.Parameter.empty
RUN = "run:"
"""What a folder is called by, where an option takes a trained model."""


@dataclass(frozen=True)
class Option:
    """One option: its type as text, and its default, which is :data:`REQUIRED` where there is none."""

    name: str
    type: str
    default: Any

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED


def declared(factory: Callable[..., Any], *, skip: int = 0) -> dict[str, inspect.Parameter]:
    """The parameters that can be given by name, in order, after the first ``skip`` (a model's ``shape``).

    Annotations written as strings are resolved.

    Raises:
        NameError, ValueError, TypeError: an annotation that names nothing, or a callable without a signature.
    """
    parameters = list(inspect.signature(factory, eval_str=True).parameters.values())[skip:]
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p for p in parameters if p.kind in by_name}


def describe(parameters: Mapping[str, inspect.Parameter]) -> list[Option]:
    """The options as ``genzoo info`` prints them."""
    return [Option(p.name, type_name(p.annotation), p.default) for p in parameters.values()]


def resolve(parameters: Mapping[str, inspect.Parameter], values: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Every option's value: the given ones converted to their types, the defaults of the others.

    Raises:
        InvalidOption: an option that ``owner`` does not have, a value of another type, or a required one not given.
    """
    for name in values:
        if name not in parameters:
            raise InvalidOption(f"{owner} has no option {name!r}{suggest(name, parameters)}")
    return {
        name: _convert(parameter, values[name], owner) if name in values else _default(parameter, owner)
        for name, parameter in parameters.items()
    }


def suggest(name: str, allowed: Iterable[str]) -> str:
    """The tail of a message about an unknown ``name``: the nearest of ``allowed``, and all of them."""
    near = difflib.get_close_matches(name, list(allowed), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (allowed: {', '.join(allowed) or 'none'})"


def type_name(annotation: Any) -> str:
    """An annotation as one would say it: ``int | None``, ``'linear' | 'cosine'``."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if capabilities(annotation) == (annotation,):
        return f"{annotation.__name__} ({RUN}FOLDER or {{model: NAME, budget: 60s}})"
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_name, arguments))
    if annotation is REQUIRED:
        return "any"
    return "None" if annotation is types.NoneType else inspect.formatannotation(annotation)


def capabilities(annotation: Any) -> tuple[type, ...]:
    """The protocols in an annotation such as ``Density | None``: the option takes a trained model that has one."""
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return tuple(kind for part in get_args(annotation) for kind in capabilities(part))
    return (annotation,) if isinstance(annotation, type) and is_protocol(annotation) else ()


def _default(parameter: inspect.Parameter, owner: str) -> Any:
    if parameter.default is REQUIRED:
        raise InvalidOption(f"{owner} needs option {parameter.name!r}: {type_name(parameter.annotation)}")
    return parameter.default


def _convert(parameter: inspect.Parameter, value: Any, owner: str) -> Any:
    """``value`` as the annotated type; a truth value is no number, though Python's bool is an int."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if parameter.annotation is REQUIRED:
        return value
    if kinds := capabilities(parameter.annotation):
        return _model(parameter, value, kinds, owner)
    adapter = TypeAdapter(parameter.annotation, config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))
    refusal = f"{owner}: {parameter.name}={value!r} is not {type_name(parameter.annotation)}"
    try:
        converted = adapter.validate_python(value)
    except ValidationError as error:
        reasons = dict.fromkeys(detail["msg"].lower() for detail in error.errors(include_url=False))
        raise InvalidOption(f"{refusal}: {'; '.join(reasons)}") from error
    if isinstance(value, bool) and not isinstance(converted, bool):
        raise InvalidOption(f"{refusal}: a truth value is no number")
    return converted


def _model(parameter: inspect.Parameter, value: Any, kinds: tuple[type, ...], owner: str) -> Any:
    """A trained model, or what names one, as it is; a name becomes the model before anything is built with it."""
    named = isinstance(value, Mapping) or (isinstance(value, str) and value.startswith(RUN))
    optional = value is None and types.NoneType in get_args(parameter.annotation)
    if named or optional or (hasattr(value, "parameters") and _has_one(value, kinds)):
        return value
    raise InvalidOption(f"{owner}: {parameter.name}={value!r} is not {type_name(parameter.annotation)}")


def _has_one(model: Any, kinds: tuple[type, ...]) -> bool:
    from genzoo.capabilities import supports

    return any(supports(model, (kind,)) for kind in kinds)
