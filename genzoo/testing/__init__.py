"""The conformance kit for plugin authors, and the closed-form models that it judges samplers by.

From a shell::

    genzoo check PLUGIN

In a plugin's own tests::

    import pytest
    from genzoo.testing import plugin_checks

    @pytest.mark.parametrize("check", plugin_checks("template"))
    def test_conformance(check):
        check()

Checks are chosen by role and by capability; each has a name such as ``ebm/model/rows_are_independent[2]``, and the
docstring of the function of that name states what is compared and the tolerance.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from genzoo.builtin import PRETRAINED
from genzoo.errors import PluginError, UnknownName
from genzoo.testing.cases import Check, expect
from genzoo.testing.combinations import combination_checks
from genzoo.testing.extractors import extractor_checks
from genzoo.testing.metrics import metric_checks
from genzoo.testing.models import model_checks
from genzoo.testing.reference import GaussianReference, MixtureReference
from genzoo.testing.samplers import sampler_checks
from genzoo.testing.trainers import trainer_checks

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

__all__ = ["Check", "GaussianReference", "MixtureReference", "Result", "check", "checks", "plugin_checks"]

_CHOOSERS: dict[str, Callable[["Zoo", str], list[Check]]] = {
    "model": model_checks,
    "trainer": trainer_checks,
    "sampler": sampler_checks,
    "extractor": extractor_checks,
    "metric": metric_checks,
}


@dataclass(frozen=True)
class Result:
    """What one check found; ``reason`` is empty when it passed."""

    name: str
    passed: bool
    reason: str
    seconds: float


def checks(role: str, name: str, zoo: "Zoo | None" = None) -> list[Check]:
    """The checks of what is registered under a name; if it cannot be built, one check that says why."""
    zoo = zoo or _load()
    try:
        return _CHOOSERS[role](zoo, name)
    except Exception as error:
        return [Check(f"{name}/{role}/can_be_judged", partial(_fail, error))]


def plugin_checks(plugin: str, zoo: "Zoo | None" = None) -> list[Check]:
    """The checks of a plugin: of its import, and of everything that it registered; ``"genzoo"`` is GenZoo itself.

    Of its own extractors the pretrained ones are left out, each a download: ``checks("extractor", name)`` has them.

    Raises:
        UnknownName: no such plugin.
        PluginError: it is disabled or broken.
    """
    zoo = zoo or _load()
    status = {info.name: info.status for info in zoo.plugins}
    if plugin not in status:
        raise UnknownName("plugin", plugin, status, "'genzoo list plugins' shows them")
    if status[plugin] != "ok":
        raise PluginError(f"plugin {plugin!r} cannot be checked: {status[plugin]}")
    owned = [(role, name) for role in _CHOOSERS for name in zoo.names(role) if zoo.owner(role, name).name == plugin]
    judged = [(role, name) for role, name in owned if plugin != "genzoo" or name not in PRETRAINED]
    alone = (check for role, name in judged for check in checks(role, name, zoo))
    return [*_import_checks(plugin), *alone, *combination_checks(zoo, plugin)]


def check(plugin: str, zoo: "Zoo | None" = None) -> list[Result]:
    """Run the checks of a plugin. Raises as :func:`plugin_checks`."""
    return [_result(each) for each in plugin_checks(plugin, zoo)]


def _result(check: Check) -> Result:
    started = time.perf_counter()
    try:
        check()
    except Exception as error:
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        reason = kind + " ".join(str(error).split())
        return Result(check.name, False, reason or type(error).__name__, time.perf_counter() - started)
    return Result(check.name, True, "", time.perf_counter() - started)


def _fail(error: Exception) -> None:
    raise error


def _load() -> "Zoo":
    from genzoo.zoo import Zoo

    return Zoo.load()


def _import_checks(plugin: str) -> list[Check]:
    modules = [point.module for point in entry_points(group="genzoo") if point.name == plugin]
    return [Check(f"{plugin}/plugin/imports_no_torch", partial(imports_no_torch, m)) for m in modules[:1]]


def imports_no_torch(module: str) -> None:
    """Importing the plugin's module in a new interpreter leaves torch unimported: ``genzoo list`` stays quick."""
    code = f"import sys, {module}; sys.exit('torch' in sys.modules and 3)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    expect(done.returncode != 3, f"importing {module} imports torch: name factories as 'module:attribute'")
    expect(done.returncode == 0, f"importing {module} fails: {done.stderr.strip().splitlines()[-1:]}")
