"""Every built-in plugin satisfies the conformance kit: one case a check, chosen by what each part can do."""

import tomllib
from pathlib import Path

import pytest

from genzoo.testing import Check, plugin_checks
from genzoo.zoo import Zoo

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
PLUGINS = sorted(PROJECT["entry-points"]["genzoo"])
ZOO = Zoo.load()
CHECKS = [check for plugin in PLUGINS for check in plugin_checks(plugin, ZOO)]
NAMES = {check.name for check in CHECKS}
PIXELS = "autoregressive"
"""Models of integer levels: they refuse points, and no Gaussian can stand in for them."""
WITHOUT_A_KNOWN_TARGET = {"discrete-likelihood", "noisy-classification"}
"""The kit's target is a Gaussian to draw from: neither levels nor a classifier have one; their own tests do."""


def built_in(role: str) -> list[str]:
    return [name for name in ZOO.names(role) if ZOO.owner(role, name).name in PLUGINS]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check) -> None:
    check()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_importing_a_plugin_is_judged(plugin: str) -> None:
    assert f"{plugin}/plugin/imports_no_torch" in NAMES


@pytest.mark.parametrize("model", built_in("model"))
def test_every_model_is_judged_on_points_and_on_images_grey_and_colour(model: str) -> None:
    shapes = {"1x8x8", "3x16x16"} if ZOO.owner("model", model).name == PIXELS else {"2", "1x8x8", "3x16x16"}
    assert {f"{model}/model/is_a_model[{shape}]" for shape in shapes} <= NAMES


@pytest.mark.parametrize("trainer", built_in("trainer"))
def test_every_trainer_learns_resumes_and_takes_images(trainer: str) -> None:
    judged = {name.split("[")[0].removeprefix(f"{trainer}/trainer/") for name in NAMES}
    known = set() if trainer in WITHOUT_A_KNOWN_TARGET else {"learns_a_known_target"}
    assert {"resumes_exactly", "trains_on_images", *known} <= judged


@pytest.mark.parametrize("sampler", sorted({*built_in("sampler")} - {"ancestral", "one-by-one"}))
def test_every_sampler_is_judged_by_closed_forms(sampler: str) -> None:
    exact = f"{sampler}/sampler/has_the_right_mean_and_covariance"
    assert {f"{exact}[ellipse]", f"{exact}[picture]"} <= NAMES


def test_samplers_that_no_closed_form_can_run_are_judged_on_the_models_that_name_them() -> None:
    assert any(name.startswith("one-by-one/sampler/follows_its_generator_alone[") for name in NAMES)
    assert any(name.startswith("ancestral/sampler/follows_its_generator_alone[") for name in NAMES)
    assert "elbo/trainer/learns_a_known_target[vae]" in NAMES  # where what it draws is compared with the target
