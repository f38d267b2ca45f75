"""The kit passes what is sound, chooses checks by capability, and reports in one line each."""

import copy

import numpy as np
import pytest
import torch
from toys import SOUND, Affine, Draw, Langevin, Likelihood, OfToyAlone, fails, zoo_with

from genzoo.errors import InvalidOption, PluginError, UnknownName
from genzoo.testing import check, checks, imports_no_torch, plugin_checks


@pytest.mark.parametrize("check", plugin_checks("toy", SOUND))
def test_a_sound_plugin_passes(check):
    check()


@pytest.mark.parametrize("check", checks("sampler", "draw", zoo_with(sampler=Langevin)))
def test_a_biased_sampler_that_states_its_formula_passes(check):
    check()


@pytest.mark.parametrize("check", checks("sampler", "draw", SOUND)[:1])
def test_pytest_shows_a_check_by_its_name(check, request):
    assert request.node.name.endswith("[draw/sampler/is_a_frozen_dataclass]")


def test_checks_are_chosen_by_capability_and_shape():
    names = {c.name for c in checks("model", "toy", SOUND)}
    assert "toy/model/density_integrates_to_one[2]" in names
    assert "toy/model/log_prob_is_the_change_of_variables[1x8x8]" in names
    assert "toy/model/is_a_model[3x16x16]" in names
    assert not any("energy_is" in name or "noise_levels" in name or "log_bound" in name for name in names)


def test_a_model_of_images_alone_is_judged_on_images_alone():
    class Pictures(Affine):
        def __init__(self, shape):
            if len(shape) != 3:
                raise InvalidOption("images only")
            super().__init__(shape)

    zoo = zoo_with(model=Pictures)
    assert {c.name.split("[")[1] for c in checks("model", "toy", zoo)} == {"1x8x8]", "3x16x16]"}
    names = {c.name for c in checks("trainer", "likelihood", zoo)}
    assert "likelihood/trainer/resumes_exactly[toy]" in names
    assert "likelihood/trainer/learns_a_known_target[toy]" not in names


class GlobalRandomness(Draw):
    def steps(self, model, n, generator):
        yield model.decode(torch.randn(n, *model.latent_shape))


def test_check_reports_every_check_in_one_line_each():
    zoo = zoo_with(sampler=GlobalRandomness)
    results = {r.name: r for r in check("toy", zoo)}
    assert list(results) == [c.name for c in plugin_checks("toy", zoo)]
    failed = {name.split("[")[0]: r for name, r in results.items() if not r.passed}
    assert {"draw/sampler/follows_its_generator_alone", "draw/sampler/touches_no_global_state"} == set(failed)
    assert failed["draw/sampler/touches_no_global_state"].reason == "it changes the host's torch random state"
    passed = results["toy/model/is_a_model[2]"]
    assert (passed.passed, passed.reason) == (True, "")
    assert passed.seconds >= 0


def test_what_cannot_be_built_is_one_failed_check_that_says_why():
    def broken(shape):
        raise RuntimeError("out of\nclay")

    results = check("toy", zoo_with(model=broken))
    reasons = {r.name: r.reason for r in results if not r.passed}
    assert "out of clay" in reasons["toy/model/can_be_judged"]
    assert "\n" not in reasons["toy/model/can_be_judged"]


def test_a_trainer_that_no_model_can_meet_says_what_is_missing():
    unmet = type("Unmet", (Likelihood,), {"needs": (OfToyAlone,)})
    reasons = [r.reason for r in check("toy", zoo_with(trainer=unmet)) if "trainer/can" in r.name]
    assert reasons == ["no installed model offers OfToyAlone"]


def test_an_unknown_plugin_and_a_broken_one_are_told():
    with pytest.raises(UnknownName, match="unknown plugin 'tay'; did you mean 'toy'"):
        check("tay", SOUND)
    zoo = copy.copy(SOUND)
    zoo.plugins = [*SOUND.plugins, type(SOUND.plugins[0])("cracked", status="broken: ImportError: no module")]
    with pytest.raises(PluginError, match="plugin 'cracked' cannot be checked: broken: ImportError"):
        check("cracked", zoo)


def test_checks_leave_the_random_states_alone():
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), str(np.random.get_state())
    for each in checks("sampler", "draw", SOUND):
        each()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]


@pytest.mark.parametrize(
    ("source", "reason"), [("import torch", "imports torch"), ("import nowhere_to_be_found", "fails: .*nowhere_to_be")]
)
def test_an_import_that_costs_or_fails_is_caught(tmp_path, monkeypatch, source, reason):
    (tmp_path / "a_plugin.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with fails(reason):
        imports_no_torch("a_plugin")


def test_a_cheap_import_passes(tmp_path, monkeypatch):
    (tmp_path / "cheap_plugin.py").write_text("from genzoo.hookspecs import hookimpl")
    monkeypatch.syspath_prepend(tmp_path)
    imports_no_torch("cheap_plugin")
