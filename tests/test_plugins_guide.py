"""The examples of docs/plugins.md are code that runs and keeps the contract."""

import re
from pathlib import Path
from typing import Any

import pytest
from conditional import DecodeIt

from genzoo.capabilities import Density
from genzoo.hookspecs import hookimpl
from genzoo.testing import Check, plugin_checks
from genzoo.zoo import HOOKS, Zoo

GUIDE = (Path(__file__).parent.parent / "docs" / "plugins.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def defined(name: str) -> Any:
    """The class of that name in the guide."""
    (source,) = [block for block in BLOCKS if f"class {name}" in block]
    scope: dict[str, Any] = {"__name__": "guide"}
    exec(source, scope)
    return scope[name]


class Plugin:
    """The plugin that the guide's classes make."""

    @hookimpl
    def genzoo_models(self) -> dict[str, Any]:
        return {"clusters": defined("Clusters")}

    @hookimpl
    def genzoo_trainers(self) -> dict[str, Any]:
        return {"clusters": defined("Surpass")}

    @hookimpl
    def genzoo_samplers(self) -> dict[str, Any]:
        return {"decode": DecodeIt}

    @hookimpl
    def genzoo_extractors(self) -> dict[str, Any]:
        return {"colour-moments": defined("ColourMoments")}

    @hookimpl
    def genzoo_metrics(self) -> dict[str, Any]:
        return {"contrast-ratio": defined("ContrastRatio")}


ZOO = Zoo()
ZOO.register(Plugin(), "guide")


@pytest.mark.parametrize("check", plugin_checks("guide", ZOO))
def test_conformance(check: Check) -> None:
    check()


def test_the_guide_shows_every_hook() -> None:
    (hooks,) = [block for block in BLOCKS if "genzoo_models" in block]
    scope: dict[str, Any] = {}
    exec(hooks, scope)
    assert all(set(scope[hook]().values()) for hook in HOOKS.values())


def test_the_guides_reference_is_an_option_that_takes_a_trained_model() -> None:
    assert ZOO.references("trainer", "clusters") == {"reference": (Density,)}
    reference = ZOO.model("clusters", (2,))
    assert ZOO.trainer("clusters", {"reference": reference}).reference is reference


def test_the_guides_label_is_the_one_it_gets() -> None:
    assert f"FD[colour-moments@{ZOO.extractor('colour-moments').sha256[:8]}]" in GUIDE
