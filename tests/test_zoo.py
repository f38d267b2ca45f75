"""The zoo finds plugins, says what is wrong with broken ones, and takes in objects registered by hand."""

import subprocess
import sys
from typing import Any

import pytest
from fake_plugins import Site, site
from toy_zoo import Toy, refusal, zoo_of

from genzoo.errors import PluginError
from genzoo.hookspecs import hookimpl
from genzoo.zoo import PluginInfo, Zoo

__all__ = ["site"]


def status(zoo: Zoo, distribution: str) -> str:
    (info,) = [plugin for plugin in zoo.plugins if plugin.distribution == distribution]
    return info.status


def broken(site: Site, source: str) -> str:
    """The status of a plugin with this source."""
    site.install("acme", {"acme_plugin": source}, acme="acme_plugin")
    return status(Zoo.load(), "acme")


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
