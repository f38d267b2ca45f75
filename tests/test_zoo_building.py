"""The zoo imports factories, validates options, and builds objects that must keep their roles' contracts."""

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from fake_plugins import Site, site
from toy_zoo import Toy, refusal, zoo_of

from genzoo.errors import InvalidOption, MissingCapability, PluginError, UnknownName
from genzoo.options import Option
from genzoo.zoo import Zoo

__all__ = ["site"]


# Factories


def test_a_factory_given_as_text_is_imported_when_it_is_built(site: Site) -> None:
    site.install("acme", {"acme_models": "from types import SimpleNamespace as Model"})
    zoo = zoo_of(models={"late": "acme_models:Model"})
    assert "acme_models" not in sys.modules
    assert zoo.factory("model", "late").__name__ == "SimpleNamespace"
    assert "acme_models" in sys.modules


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("no_such_module:Model", "cannot import 'no_such_module:Model': ModuleNotFoundError"),
        ("json:Model", "cannot import 'json:Model': AttributeError"),
        ("json:__name__", "'json:__name__' is a str, not a callable"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_one_line(factory: str, reason: str) -> None:
    told = refusal(PluginError, lambda: zoo_of(models={"late": factory}).options("model", "late"))
    assert told.startswith("model 'late' of plugin 'acme': ") and reason in told


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    zoo = zoo_of(models={"realnvp": Toy, "vae": Toy})
    told = refusal(UnknownName, lambda: zoo.model("realnpv", (2,)))
    assert (
        told
        == "unknown model 'realnpv'; did you mean 'realnvp'? (allowed: realnvp, vae); 'genzoo list models' shows them"
    )


def test_an_unknown_name_may_be_a_broken_plugins(site: Site) -> None:
    site.install("acme", {"acme_plugin": "1 / 0"}, acme="acme_plugin")
    told = refusal(UnknownName, lambda: Zoo.load().factory("sampler", "acme-sampler"))
    assert told.endswith("; broken: acme, see 'genzoo list plugins'")


# Options


def test_the_signature_is_the_options() -> None:
    assert zoo_of(models={"toy": Toy}).options("model", "toy") == [
        Option("width", "int", 8),
        Option("kernel", "'small' | 'large'", "small"),
        Option("channels", "tuple[int, ...]", (16, 32)),
        Option("levels", "int | None", None),
    ]


def test_validation_fills_defaults_and_converts() -> None:
    zoo = zoo_of(models={"toy": Toy})
    assert zoo.validate("model", "toy", {"width": "3", "channels": [8, 8]}) == {
        "width": 3,
        "kernel": "small",
        "channels": (8, 8),
        "levels": None,
    }


def test_facts_fill_the_options_of_their_names_unless_given() -> None:
    zoo, facts = zoo_of(models={"toy": Toy}), {"levels": 17, "num_classes": 10}
    assert zoo.model("toy", (1, 8, 8), facts=facts).levels == 17
    assert zoo.model("toy", (1, 8, 8), {"levels": 256}, facts).levels == 256
    assert zoo.model("toy", (1, 8, 8), {"levels": None}, facts).levels is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"widht": 3},
            "model 'toy' has no option 'widht'; did you mean 'width'? (allowed: width, kernel, channels, levels)",
        ),
        ({"width": "wide"}, "model 'toy': width='wide' is not int: input should be a valid integer"),
        ({"kernel": "huge"}, "model 'toy': kernel='huge' is not 'small' | 'large': input should be 'small' or 'large'"),
        ({"width": True}, "model 'toy': width=True is not int: a truth value is no number"),
        ({"width": 2000}, "model 'toy': width is at most 1000, more would not fit"),
    ],
)
def test_a_wrong_option_is_one_line(options: dict[str, Any], told: str) -> None:
    zoo = zoo_of(models={"toy": Toy})
    assert refusal(InvalidOption, lambda: zoo.model("toy", (2,), options)).startswith(told)


def test_a_shape_goes_to_the_model_and_not_to_its_options() -> None:
    zoo = zoo_of(models={"toy": Toy})
    assert zoo.model("toy", (3, 4, 4)).shape == (3, 4, 4)
    assert "no option 'shape'" in refusal(InvalidOption, lambda: zoo.model("toy", (2,), {"shape": (3,)}))


def test_an_annotation_that_names_nothing_is_the_plugins_fault() -> None:
    def factory(*, width: "Nothing") -> None:  # type: ignore[name-defined]  # noqa: F821
        """Never called."""

    told = refusal(PluginError, lambda: zoo_of(trainers={"bad": factory}).options("trainer", "bad"))
    assert told == "trainer 'bad' of plugin 'acme': its signature: NameError: name 'Nothing' is not defined"


# Building


@dataclass(frozen=True)
class Steps:
    """A sampler in form only."""

    needs: ClassVar[tuple[type, ...]] = ()
    num_steps: int = 10

    def steps(self, model: Any, n: int, generator: Any) -> Any:
        yield from ()


def test_a_sampler_is_built_from_its_settings() -> None:
    zoo = zoo_of(samplers={"steps": Steps})
    assert zoo.sampler("steps", {"num_steps": 20}) == Steps(num_steps=20)
    assert [option.name for option in zoo.options("sampler", "steps")] == ["num_steps"]


def test_what_a_factory_raises_is_one_line_that_names_the_owner() -> None:
    def factory(*, lr: float = 0.1) -> None:
        raise KeyError("a bug")

    told = refusal(PluginError, lambda: zoo_of(trainers={"elbo": factory}).trainer("elbo"))
    assert told == "trainer 'elbo' of plugin 'acme': KeyError: 'a bug'"


def test_a_factorys_own_refusal_is_passed_on() -> None:
    def factory() -> None:
        raise MissingCapability("needs a decoder")

    assert refusal(MissingCapability, lambda: zoo_of(samplers={"x": factory}).sampler("x")) == "needs a decoder"


class Extractor:
    """An extractor in form only."""

    sha256, batch_size = "0" * 64, 10

    def __init__(self, *, bins: int = 4) -> None:
        self.bins = bins

    def check_shape(self, shape: tuple[int, int, int]) -> None: ...

    def features(self, images: Any) -> Any: ...


def test_an_extractor_and_a_metric_are_built_from_their_options() -> None:
    zoo = zoo_of(extractors={"bins": Extractor}, metrics={"gap": lambda: len})
    assert zoo.extractor("bins", {"bins": 8}).bins == 8
    assert "no option 'bin'; did you mean 'bins'?" in refusal(InvalidOption, lambda: zoo.extractor("bins", {"bin": 8}))
    assert zoo.metric("gap") is len


@pytest.mark.parametrize(
    ("role", "contract"),
    [
        ("model", "Model"),
        ("trainer", "Trainer"),
        ("sampler", "Sampler"),
        ("extractor", "Extractor"),
        ("metric", "Metric"),
    ],
)
def test_what_is_built_must_keep_its_roles_contract(role: str, contract: str) -> None:
    zoo = zoo_of(**{f"{role}s": {"wrong": lambda *shape: object()}})
    build = {"model": lambda: zoo.model("wrong", (2,)), "trainer": lambda: zoo.trainer("wrong"),
             "sampler": lambda: zoo.sampler("wrong"), "extractor": lambda: zoo.extractor("wrong"),
             "metric": lambda: zoo.metric("wrong")}[role]  # fmt: skip
    assert f"lacks what genzoo.protocols.{contract} asks for" in refusal(PluginError, build)
