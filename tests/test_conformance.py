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
    assert {f"{model}/model/is_a_model[{shape}]" for shape in ("2", "1x8x8", "3x16x16")} <= NAMES


@pytest.mark.parametrize("trainer", built_in("trainer"))
def test_every_trainer_learns_resumes_and_takes_images(trainer: str) -> None:
    judged = {name.split("[")[0].removeprefix(f"{trainer}/trainer/") for name in NAMES}
    assert {"learns_a_known_target", "resumes_exactly", "trains_on_images"} <= judged


@pytest.mark.parametrize("sampler", sorted({*built_in("sampler")} - {"ancestral"}))
def test_every_sampler_is_judged_by_closed_forms(sampler: str) -> None:
    exact = f"{sampler}/sampler/has_the_right_mean_and_covariance"
    assert {f"{exact}[ellipse]", f"{exact}[picture]"} <= NAMES


def test_the_one_sampler_that_no_closed_form_can_run_is_judged_on_the_model_that_names_it() -> None:
    assert any(name.startswith("ancestral/sampler/follows_its_generator_alone[") for name in NAMES)
    assert "elbo/trainer/learns_a_known_target[vae]" in NAMES  # where what it draws is compared with the target
