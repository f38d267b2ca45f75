"""The zoo finds plugins, says what is wrong with broken ones, and builds objects from validated options."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest
from fake_plugins import Site, site

from genzoo.errors import InvalidOption, MissingCapability, PluginError, UnknownName
from genzoo.hookspecs import hookimpl
from genzoo.options import Option
from genzoo.zoo import PluginInfo, Zoo

__all__ = ["site"]


def status(zoo: Zoo, distribution: str) -> str:
    (info,) = [plugin for plugin in zoo.plugins if plugin.distribution == distribution]
    return info.status


def broken(site: Site, source: str) -> str:
    """The status of a plugin with this source."""
    site.install("acme", {"acme_plugin": source}, acme="acme_plugin")
    return status(Zoo.load(), "acme")


def refusal(error: type[Exception], build: Any) -> str:
    """The one line with which ``build`` is refused."""
    with pytest.raises(error) as caught:
        build()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zoo_of(**factories: Any) -> Zoo:
    """A zoo of one plugin: the factories of a role are given by the role's plural."""

    class Plugin:
        @hookimpl
        def genzoo_models(self) -> Any:
            return factories.get("models", {})

        @hookimpl
        def genzoo_trainers(self) -> Any:
            return factories.get("trainers", {})

        @hookimpl
        def genzoo_samplers(self) -> Any:
            return factories.get("samplers", {})

        @hookimpl
        def genzoo_extractors(self) -> Any:
            return factories.get("extractors", {})

        @hookimpl
        def genzoo_metrics(self) -> Any:
            return factories.get("metrics", {})

    zoo = Zoo()
    zoo.register(Plugin(), "acme")
    return zoo


class Toy:
    """A model in form only."""

    trainer, sampler = "elbo", "decode"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int = 8,
        kernel: Literal["small", "large"] = "small",
        channels: tuple[int, ...] = (16, 32),
        levels: int | None = None,
    ) -> None:
        if width > 1000:
            raise ValueError("width is at most 1000,\nmore would not fit")
        self.shape, self.width, self.channels, self.levels = shape, width, channels, levels


# Loading


def test_a_plugin_comes_in_through_its_entry_point(site: Site) -> None:
    site.install_toy("acme", "acme_toy", "toy")
    zoo = Zoo.load()
    assert PluginInfo("toy", "1.0", "acme", "A toy family.", "ok") in zoo.plugins
    assert "toy" in zoo.names("model")
    assert "toy-trainer" in zoo.names("trainer")
    assert zoo.owner("model", "toy").distribution == "acme"


def test_zoos_share_nothing(site: Site) -> None:
    site.install_toy("acme", "acme_toy", "toy")
    assert Zoo.load().names("model") == Zoo.load().names("model")
    assert Zoo().names("model") == []


@pytest.mark.parametrize("failure", ["raise RuntimeError('no\\nluck')", "import no_such_module", "exit(3)", "1 +"])
def test_a_plugin_that_cannot_be_imported_is_a_row_and_the_others_work(site: Site, failure: str) -> None:
    site.install_toy("other", "other_toy", "toy")
    told = broken(site, failure)
    assert (told.startswith("broken: ") and "Error" in told) or "SystemExit" in told
    assert "\n" not in told
    assert "toy" in Zoo.load().names("model")


def test_an_entry_point_that_leads_nowhere_is_a_row(site: Site) -> None:
    site.install("acme", {}, acme="acme_missing")
    assert status(Zoo.load(), "acme") == "broken: ModuleNotFoundError: No module named 'acme_missing'"


HOOK = """
    from genzoo.hookspecs import hookimpl

    @hookimpl
    def {hook}({arguments}):
        {body}
"""


@pytest.mark.parametrize(
    ("hook", "arguments", "body", "reasons"),
    [
        ("genzoo_model", "", "return {}", ["unknown hook 'genzoo_model'", "did you mean 'genzoo_models'?"]),
        ("genzoo_models", "shape", "return {}", ["genzoo_models", "{'shape'}"]),
        ("genzoo_models", "", "return 1 / 0", ["genzoo_models raised ZeroDivisionError: division by zero"]),
        ("genzoo_models", "", "return ['gan']", ["genzoo_models returned a list, not a mapping"]),
        ("genzoo_models", "", "pass", ["genzoo_models returned a NoneType, not a mapping"]),
        ("genzoo_models", "", "return {'My Model': dict}", ["model name 'My Model' is not kebab-case"]),
        ("genzoo_samplers", "", "return {'../up': dict}", ["sampler name '../up' is not kebab-case"]),
        ("genzoo_models", "", "return {1: dict}", ["model name 1 is not kebab-case"]),
        ("genzoo_trainers", "", "return {'elbo': 3}", ["trainer 'elbo' is 3, neither a callable nor"]),
        ("genzoo_trainers", "", "return {'elbo': 'acme.elbo'}", ["'acme.elbo', neither a callable nor 'module:attri"]),
        ("genzoo_extractor", "", "return {}", ["unknown hook 'genzoo_extractor'", "did you mean 'genzoo_extractors'?"]),
        ("genzoo_extractors", "", "return {'VGG': dict}", ["extractor name 'VGG' is not kebab-case"]),
        ("genzoo_metrics", "", "return {'my_metric': dict}", ["metric name 'my_metric' is not kebab-case"]),
        ("genzoo_metrics", "", "return 1 / 0", ["genzoo_metrics raised ZeroDivisionError: division by zero"]),
    ],
)
def test_a_hook_that_does_not_keep_the_contract_breaks_its_plugin(
    site: Site, hook: str, arguments: str, body: str, reasons: list[str]
) -> None:
    told = broken(site, HOOK.format(hook=hook, arguments=arguments, body=body))
    assert told.startswith("broken: ") and "\n" not in told
    assert all(reason in told for reason in reasons), told


def test_a_plugin_without_hooks_is_told_about_the_marker(site: Site) -> None:
    told = broken(site, "def genzoo_models():\n    return {}")
    assert told.startswith("broken: no hook found: is @hookimpl missing on genzoo_models")


def test_a_taken_plugin_name_cites_both_owners_and_built_ins_come_first(site: Site) -> None:
    for distribution in ("aaa", "genzoo", "zzz"):  # a site's own "genzoo" hides the installed one
        site.install_toy(distribution, f"{distribution}_toy", "toy")
    zoo = Zoo.load()
    assert [plugin.distribution for plugin in zoo.plugins] == ["genzoo", "genzoo", "aaa", "zzz"]
    assert zoo.owner("model", "toy").distribution == "genzoo"
    claim = "broken: the plugin name 'toy' belongs to plugin 'toy' of genzoo 1.0, plugin 'toy' of {0} 1.0 claims it too"
    assert status(zoo, "aaa") == claim.format("aaa")
    assert status(zoo, "zzz") == claim.format("zzz")


def test_a_taken_model_name_cites_both_owners_and_the_first_keeps_it(site: Site) -> None:
    site.install_toy("aaa", "aaa_toy", "toy")
    both = HOOK.format(hook="genzoo_models", arguments="", body="return {'new': dict, 'toy': dict}")
    site.install("bbb", {"bbb_plugin": both}, second="bbb_plugin")
    zoo = Zoo.load()
    assert status(zoo, "bbb") == (
        "broken: model 'toy' belongs to plugin 'toy' of aaa 1.0, plugin 'second' of bbb 1.0 claims it too"
    )
    assert zoo.owner("model", "toy").distribution == "aaa"
    assert "new" not in zoo.names("model")


@pytest.mark.parametrize(
    ("hook", "name", "owned"),
    [
        ("genzoo_extractors", "cnn28", "extractor 'cnn28'"),
        ("genzoo_metrics", "fd", "metric 'fd'"),
        ("genzoo_metrics", "fd-debiased", "metric 'fd_debiased'"),
    ],
)
def test_a_plugin_that_claims_a_built_in_name_is_broken(site: Site, hook: str, name: str, owned: str) -> None:
    told = broken(site, HOOK.format(hook=hook, arguments="", body=f"return {{'{name}': dict}}"))
    assert told.startswith(f"broken: {owned} belongs to plugin 'genzoo' of genzoo ")
    assert told.endswith("plugin 'acme' of acme 1.0 claims it too")


def test_genzoo_itself_cannot_be_left_out_or_replaced(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install_toy("acme", "genzoo_toy", "genzoo")
    assert status(Zoo.load(), "acme").startswith(
        "broken: the plugin name 'genzoo' belongs to plugin 'genzoo' of genzoo"
    )
    monkeypatch.setenv("GENZOO_DISABLE", "genzoo")
    assert "cnn28" in Zoo.load().names("extractor")


def test_one_name_may_be_a_model_and_a_sampler() -> None:
    zoo = zoo_of(models={"ddpm": dict}, samplers={"ddpm": list})
    assert zoo.factory("model", "ddpm") is dict
    assert zoo.factory("sampler", "ddpm") is list


def test_the_environment_disables_plugins_without_importing_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install_toy("acme", "acme_toy", "toy")
    site.install("other", {"other_plugin": "raise RuntimeError"}, other="other_plugin")
    monkeypatch.setenv("GENZOO_DISABLE", "other, toy")
    zoo = Zoo.load()
    assert status(zoo, "acme") == status(zoo, "other") == "disabled"
    assert "toy" not in zoo.names("model")
    assert "acme_toy" not in sys.modules


def test_what_genzoo_itself_brings_is_in_every_zoo_and_can_be_explained() -> None:
    zoo = Zoo()
    assert {"cnn8", "cnn28", "rand28", "rand32", "inception-v3-compat", "vgg16"} <= set(zoo.names("extractor"))
    assert {"fd", "fd_debiased", "kid", "precision", "vendi"} <= set(zoo.names("metric"))
    for role in ("extractor", "metric"):
        for name in zoo.names(role):
            assert zoo.owner(role, name).distribution == "genzoo"
            assert zoo.factory(role, name).__doc__, name
            assert {option.name for option in zoo.options(role, name)} <= {"weights"}


def test_loading_the_built_in_plugins_imports_no_torch(site: Site) -> None:
    site.install_built_ins()
    code = "import sys; from genzoo.zoo import Zoo; print(*Zoo.load().names('model')); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=site.environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "ddpm" in done.stdout.split()


# Registering by hand


def test_an_object_with_hooks_can_be_registered() -> None:
    zoo = zoo_of(models={"toy": Toy})
    assert zoo.names("model") == ["toy"]
    assert str(zoo.owner("model", "toy")) == "plugin 'acme'"


def test_a_refused_plugin_leaves_nothing_behind() -> None:
    class Bad:
        @hookimpl
        def genzoo_models(self) -> Any:
            return {"fine": Toy, "NOT FINE": Toy}

    class Good:
        @hookimpl
        def genzoo_models(self) -> Any:
            return {"fine": Toy}

    zoo = Zoo()
    assert "NOT FINE" in refusal(PluginError, lambda: zoo.register(Bad(), "mine"))
    assert zoo.names("model") == [] and [plugin.name for plugin in zoo.plugins] == ["genzoo"]
    zoo.register(Good(), "mine")
    assert zoo.names("model") == ["fine"]
    assert "claims it too" in refusal(PluginError, lambda: zoo.register(Good(), "mine"))


def test_one_object_is_one_plugin() -> None:
    class Plugin:
        @hookimpl
        def genzoo_models(self) -> Any:
            return {}

    zoo, plugin = Zoo(), Plugin()
    zoo.register(plugin, "one")
    assert "already plugin 'one'" in refusal(PluginError, lambda: zoo.register(plugin, "two"))


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
