"""Suites are YAML whose every key is checked, and expand to trainings with their sample sets."""

from pathlib import Path
from textwrap import dedent

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from pydantic import ValidationError

from genzoo import suites
from genzoo.config import Budget, SampleConfig, TrainConfig
from genzoo.errors import InvalidConfig, UnknownName
from genzoo.suites import Fairness, Table, expand, fairness, load_suite
from genzoo.zoo import Zoo

SUITE = """
name: small
title: A small suite
seeds: [0, 1]
budget: 60s
tables:
  - data: digits
    batch_size: 64
    num_samples: 500
    extractor: cnn8
    runs:
      - model: ddpm
        set: {width: 16, lr: 1e-3}
        budget: 90s
        samplers: [ddpm, {sampler: ddim, set: {num_steps: 20}}]
      - {model: vae, trainer: elbo, trainer_set: {beta: 2}, batch_size: 32, precision: float32}
  - data: 8gaussians
    references: false
    runs: [{model: realnvp}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SUITE)
    return tmp_path / "small.yaml"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something of the environment that no suite may tell."""
    monkeypatch.setenv("SECRET", "hush")


def refusal(path: Path, text: str | None = None, *overrides: str) -> str:
    if text is not None:
        path.write_text(dedent(text))
    with pytest.raises(InvalidConfig) as caught:
        expand(load_suite(path, overrides))
    assert "\n" not in str(caught.value) and "hush" not in str(caught.value)
    return str(caught.value)


def test_a_run_takes_what_it_does_not_say_from_its_table_and_that_from_the_suite(path: Path) -> None:
    digits, points = expand(load_suite(path))
    ddpm, vae = digits[0], digits[2]
    assert ddpm.train == TrainConfig(
        model="ddpm",
        data="digits",
        model_options={"width": 16, "lr": 1e-3},
        budget=Budget(90, "seconds"),
        batch_size=64,
    )
    assert (vae.train.budget, vae.train.batch_size) == (Budget(60, "seconds"), 32)
    assert (vae.train.trainer, vae.train.trainer_options, vae.train.precision) == ("elbo", {"beta": 2}, "float32")
    assert points[0].train.batch_size == TrainConfig.model_fields["batch_size"].default


def test_every_run_is_planned_once_a_seed(path: Path) -> None:
    digits, points = expand(load_suite(path))
    assert [(plan.train.model, plan.train.seed) for plan in digits] == [
        ("ddpm", 0),
        ("ddpm", 1),
        ("vae", 0),
        ("vae", 1),
    ]
    assert [plan.train.seed for plan in points] == [0, 1]


def test_a_run_may_have_seeds_of_its_own(path: Path) -> None:
    path.write_text(
        "name: a\nbudget: 5steps\ntables: [{data: digits, runs: [{model: vae, seeds: [3, 4]}, {model: ddpm}]}]"
    )
    (plans,) = expand(load_suite(path))
    assert [(plan.train.model, plan.train.seed) for plan in plans] == [("vae", 3), ("vae", 4), ("ddpm", 0)]
    assert [plan.samples[0].seed for plan in plans] == [3, 4, 0]


def test_one_training_is_sampled_in_several_ways(path: Path) -> None:
    (_, ddpm, vae, _), _ = expand(load_suite(path))
    assert ddpm.samples == [
        SampleConfig(sampler="ddpm", num_samples=500, seed=1, extractor="cnn8"),
        SampleConfig(sampler="ddim", options={"num_steps": 20}, num_samples=500, seed=1, extractor="cnn8"),
    ]
    assert vae.samples == [SampleConfig(sampler=None, num_samples=500, seed=0, extractor="cnn8")]


def test_numbers_in_scientific_notation_are_numbers(path: Path) -> None:
    (options, *_), _ = [[plan.train.model_options for plan in table] for table in expand(load_suite(path))]
    assert options["lr"] == 0.001


def test_anchors_repeat_what_was_said(path: Path) -> None:
    path.write_text(
        "name: a\nbudget: 5s\ntables: [{data: digits, runs: &all [{model: vae}]}, {data: moons, runs: *all}]"
    )
    assert [[plan.train.model for plan in table] for table in expand(load_suite(path))] == [["vae"], ["vae"]]


def test_overrides_reach_into_lists_and_replace(path: Path) -> None:
    suite = load_suite(path, ["tables.1.budget=5steps", "seeds=[7]", "tables.0.runs.0.set.width=8"])
    digits, points = expand(suite)
    assert [plan.train.seed for plan in digits] == [7, 7]
    assert digits[0].train.model_options["width"] == 8
    assert points[0].train.budget == Budget(5, "steps")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("budgt=5s", "unknown key 'budgt'; did you mean 'budget'?"),
        ("tables.0.size=big", "tables.0.size = 'big': Input should be a valid integer"),
        ("tables.0.runs.0.modle=vae", "unknown key 'tables.0.runs.0.modle'; did you mean 'model'? (allowed: budget,"),
        ("tables.0.runs.0.samplers.1.sett=1", "unknown key 'tables.0.runs.0.samplers.1.sett'; did you mean 'set'?"),
        ("tables.0.budget=5", "tables.0.budget = 5: "),
        ("tables.0.budget=5x", "tables.0.budget: budget '5x' is no number with a unit"),
        ("tables.9.budget=5s", "list index out of range"),
        ("tables.x.budget=5s", "'x'"),
        ("name.x=5s", "name"),
        ("tables=[]", "tables = []: "),
        ("seeds=[]", "seeds = []: "),
        ("title=${name}", "'${name}' is not filled in: write the value itself, or use a YAML anchor"),
        ("tables.0.runs.0.set.width=${oc.env:SECRET}", "'${oc.env:SECRET}' is not filled in"),
        ("name=../../evil", "name = '../../evil': String should match pattern '^[a-z0-9][a-z0-9-]*$'"),
        ("title=[1,", "flow"),
        ("regime=equal", "regime.0 = 'equal': Input should be 'equal-parameters', 'equal-training' or 'equal-calls'"),
        ("parameters=2X", "parameters: '2X' is no number of parameters: write it as 250k, 1.5M or 1500000"),
        ("parameters=0", "parameters = 0: Input should be greater than 0"),
        ("calls=-1", "calls = -1: Input should be greater than 0"),
        ("calls=.inf", "calls = inf: Input should be a finite number"),
        ("parameters=2M", "parameters is of regime equal-parameters, which is not asked for: leave it out"),
        ("tables.1.calls=50", "tables.1.calls is of regime equal-calls, which is not asked for: leave it out"),
    ],
)
def test_a_wrong_override_names_the_file_and_the_key(path: Path, override: str, told: str) -> None:
    message = refusal(path, None, override)
    assert message.startswith(f"{path}: ") and told in message, message


def asked(path: Path, *overrides: str) -> list[Fairness]:
    suite = load_suite(path, overrides)
    return [fairness(suite, table) for table in suite.tables]


def test_nothing_has_to_be_equal_unless_asked_for(path: Path) -> None:
    assert asked(path) == [{}, {}]


def test_a_table_takes_its_regime_and_target_from_the_suite_unless_it_says_its_own(path: Path) -> None:
    both = ["regime=equal-parameters", "parameters=1.5M"]
    assert asked(path, *both) == [{"equal-parameters": 1_500_000}] * 2
    assert asked(path, *both, "tables.1.parameters=250k")[1] == {"equal-parameters": 250_000}
    assert asked(path, *both, "tables.1.regime=equal-training")[1] == {"equal-training": None}
    assert asked(path, *both, "tables.1.regime=equal-calls", "tables.1.calls=50")[1] == {"equal-calls": 50}
    assert asked(path, "tables.0.regime=equal-calls") == [{"equal-calls": None}, {}]


def test_several_things_can_have_to_be_equal(path: Path) -> None:
    two = ["regime=[equal-parameters,equal-training]", "parameters=2M"]
    assert asked(path, *two) == [{"equal-parameters": 2_000_000, "equal-training": None}] * 2
    assert asked(path, *two, "tables.1.regime=[]")[1] == {}


def test_a_target_has_to_be_one_of_the_regime_that_is_asked_for(path: Path) -> None:
    told = refusal(path, None, "regime=equal-parameters", "tables.0.calls=50")
    assert told.endswith("tables.0.calls is of regime equal-calls, which is not asked for: leave it out")
    told = refusal(path, None, "tables.0.regime=equal-calls", "tables.1.calls=50")
    assert "tables.1.calls is of regime equal-calls" in told


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**9), st.sampled_from(["", "k", "M", "B"]))
def test_sizes_are_numbers_with_or_without_a_thousand(number: int, unit: str) -> None:
    scale = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}[unit]
    table = {"data": "digits", "runs": [], "parameters": f"{number / 1000:.3f}{unit}"}
    if (wanted := round(number / 1000 * scale)) > 0:
        assert Table.model_validate(table).parameters == wanted
    assert Table.model_validate({**table, "parameters": number * scale}).parameters == number * scale


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_any_other_text_is_refused_and_never_misread(text: str) -> None:
    try:
        size = Table.model_validate({"data": "digits", "runs": [], "parameters": text}).parameters
    except ValidationError:
        return
    assert size is not None and size > 0 and text.strip()[0].isdigit()


@pytest.mark.parametrize("override", ["budget", "=5s"])
def test_an_override_without_a_key_or_value_is_refused(path: Path, override: str) -> None:
    assert refusal(path, None, override) == f"--set {override!r} is not KEY=VALUE, such as lr=1e-3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "flow"),
        ("- a list", "Input should be a valid dictionary"),
        ("", "key 'name' is missing"),
        ("name: a\nname: b", "duplicate"),
        ("name: /tmp/a\ntables: [{data: digits, runs: []}]", "name = '/tmp/a': "),
        ("name: a\ntables: [{data: digits, runs: [{model: '${oc.env:SECRET}'}]}]", "'${oc.env:SECRET}'"),
        ('name: a\ntables: [{data: "\\x24{oc.env:SECRET}", runs: []}]', "'${oc.env:SECRET}'"),
        ("name: a\ntables: [{data: digits}]", "key 'tables.0.runs' is missing"),
        ("name: a\ntables: [{data: digits, runs: [ddpm]}]", "tables.0.runs.0 = 'ddpm': "),
    ],
)
def test_a_file_that_is_no_suite_is_one_line(path: Path, text: str, told: str) -> None:
    message = refusal(path, text)
    assert message.startswith(f"{path}: ") and told in message, message


def test_a_file_that_is_not_text_is_one_line(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00")
    assert refusal(path).startswith(f"{path}: ")


def test_a_run_without_any_budget_is_refused(path: Path) -> None:
    told = refusal(path, "name: a\ntables: [{data: digits, runs: [{model: ddpm}]}]")
    assert told == "suite 'a', run 'ddpm' on 'digits': key 'budget' is missing"


def test_shipped_suites_go_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "SUITE_FOLDERS", (path.parent / "nowhere", path.parent))
    assert load_suite("small").title == "A small suite"
    with pytest.raises(UnknownName, match="unknown suite 'smal'; did you mean 'small'"):
        load_suite("smal")


@pytest.mark.parametrize("name", sorted(suites.shipped_suites()))
def test_every_shipped_suite_expands(name: str) -> None:
    assert all(expand(load_suite(name)))


@pytest.mark.parametrize("name", ["full-recipes"])
def test_a_paper_s_recipe_has_the_paper_s_parameters(name: str) -> None:
    """Counted without memory for them; of what only a part is needed to sample, the whole is counted here."""
    zoo = Zoo.load()
    for table in load_suite(name).tables:
        facts = {"levels": 256, "num_classes": 10}
        for run in (run for run in table.runs if run.paper and run.paper.counts == "total"):
            with torch.device("meta"):
                model = zoo.model(run.model, (3, 32, 32), run.set, facts)
            count = sum(p.numel() for p in model.parameters())
            assert 0.8 < count / run.paper.parameters < 1.25, (run.model, count)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.yaml")
