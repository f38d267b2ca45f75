"""A factory's signature is its options."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from genzoo.errors import InvalidOption
from genzoo.options import REQUIRED, Option, declared, describe, resolve, suggest, type_name


def by_function(shape: tuple[int, ...], *, width: int = 8, name: str | None = None) -> None:
    """A function whose annotations are strings, as they all are in this file."""


class ByClass(Protocol):
    def __init__(self, shape: tuple[int, ...], *, width: int = 8, name: str | None = None) -> None: ...


@dataclass(frozen=True)
class ByDataclass:
    needs: ClassVar[tuple[type, ...]] = ()
    width: int = 8
    name: str | None = None


@pytest.mark.parametrize(
    ("factory", "skip"),
    [(by_function, 1), (ByClass, 1), (ByDataclass, 0), (functools.partial(by_function, (2,)), 0)],
)
def test_functions_classes_dataclasses_and_partials_declare_options(factory: Any, skip: int) -> None:
    assert describe(declared(factory, skip=skip)) == [Option("width", "int", 8), Option("name", "str | None", None)]


def test_what_cannot_be_given_by_name_is_no_option() -> None:
    def factory(shape: Any, /, *rest: Any, width: int = 8, **others: Any) -> None: ...

    assert list(declared(factory, skip=1)) == ["width"]


def test_an_option_without_a_default_is_required() -> None:
    def factory(*, width: int) -> None: ...

    (option,) = describe(declared(factory))
    assert option.required and option.default is REQUIRED
    with pytest.raises(InvalidOption, match=r"^trainer 'x' needs option 'width': int$"):
        resolve(declared(factory), {}, "trainer 'x'")


def test_an_option_without_an_annotation_takes_anything() -> None:
    def factory(*, anything=None): ...  # type: ignore[no-untyped-def]

    marker = object()
    assert resolve(declared(factory), {"anything": marker}, "it") == {"anything": marker}


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (float | None, "float | None"),
        (Literal["a", 2], "'a' | 2"),
        (Literal["a"] | None, "'a' | None"),
        (Annotated[int, Field(gt=0)], "int"),
        (tuple[int, ...], "tuple[int, ...]"),
        (list[str | None], "list[str | None]"),
    ],
)
def test_types_are_told_as_one_would_say_them(annotation: Any, text: str) -> None:
    assert type_name(annotation) == text


def resolved(annotation: Any, value: Any) -> Any:
    def factory(*, option=None): ...  # type: ignore[no-untyped-def]

    factory.__annotations__["option"] = annotation
    return resolve(declared(factory), {"option": value}, "it")["option"]


@pytest.mark.parametrize(
    ("annotation", "given", "taken"),
    [(int, "3", 3), (int, 3.0, 3), (float, 1, 1.0), (float, "1e-3", 1e-3), (bool, "true", True),
     (tuple[int, ...], [1, 2], (1, 2)), (int | None, None, None), (Annotated[int, Field(gt=0)], 1, 1)],
)  # fmt: skip
def test_values_are_converted(annotation: Any, given: Any, taken: Any) -> None:
    value = resolved(annotation, given)
    assert value == taken and type(value) is type(taken)


@pytest.mark.parametrize(
    ("annotation", "given", "reason"),
    [(int, 3.5, "not int"), (int, True, "truth value"), (float, True, "truth value"), (float, float("nan"), "finite"),
     (str, 3, "not str"), (bool, 7, "not bool"), (Annotated[int, Field(gt=0)], 0, "greater than 0"),
     (list[int], ["a"], "valid integer"), (int | bool, "x", "valid integer")],
)  # fmt: skip
def test_values_of_another_type_are_refused(annotation: Any, given: Any, reason: str) -> None:
    with pytest.raises(InvalidOption, match=reason):
        resolved(annotation, given)


def test_options_may_have_names_that_a_schema_library_keeps_for_itself() -> None:
    def factory(*, copy: int = 1, schema: int = 2, model_config: int = 3, _private: int = 4) -> None: ...

    given = {"copy": 5, "schema": 6, "model_config": 7, "_private": 8}
    assert resolve(declared(factory), given, "it") == given


@settings(max_examples=50, deadline=None)
@given(st.text(), st.lists(st.text(max_size=5), max_size=5))
def test_a_suggestion_is_one_of_the_allowed(name: str, allowed: list[str]) -> None:
    hint = suggest(name, allowed)
    assert hint.endswith(")")
    if "did you mean" in hint:
        assert any(f"did you mean {near!r}?" in hint for near in allowed)
