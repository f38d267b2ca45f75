"""Budgets, configurations and the ids of runs."""

import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.config import Budget, SampleConfig, TrainConfig, checked, sample_id, train_id
from genzoo.errors import InvalidConfig

RUN = {"model": "ddpm", "data": "digits", "budget": "60s"}


# Budgets


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60s", Budget(60, "seconds")),
        ("1.5m", Budget(90, "seconds")),
        ("2h", Budget(7200, "seconds")),
        ("20000img", Budget(20000, "images")),
        ("2.5kimg", Budget(2500, "images")),
        ("500steps", Budget(500, "steps")),
        (" 60s ", Budget(60, "seconds")),
    ],
)
def test_a_budget_is_a_number_and_a_unit(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", "60", "s", "60x", "60 s", "-1s", "1e3s", "nans", "60S", "60s60s", "\N{SUPERSCRIPT TWO}s", "60step"],
)
def test_another_form_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(InvalidConfig, match=re.escape("(allowed: s, m, h, img, kimg, steps), such as 60s")):
        Budget.parse(text)


@pytest.mark.parametrize("text", ["0s", "0.0000001s", "1.5img", "0.5steps", "0img", "9" * 400 + "s"])
def test_nothing_and_parts_of_steps_are_no_budget(text: str) -> None:
    with pytest.raises(InvalidConfig, match="more than zero, and a whole number"):
        Budget.parse(text)


@settings(max_examples=100, deadline=None)
@given(
    st.decimals(min_value="0.000001", max_value=10**9, places=6),
    st.integers(1, 10**12),
    st.sampled_from(["s", "m", "h"]),
)
def test_a_budget_reads_back_as_it_is_written(duration: Any, count: int, unit: str) -> None:
    for text in (f"{duration}{unit}", f"{count}img", f"{count}steps"):
        assert Budget.parse(str(Budget.parse(text))) == Budget.parse(text)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="0123456789.smhkigtepn ", max_size=12))
def test_any_text_is_a_budget_or_one_line(text: str) -> None:
    try:
        assert Budget.parse(text).amount > 0
    except InvalidConfig as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "share"), [("200s", 0.15), ("200img", 0.5), ("200steps", 0.05), ("100img", 1), ("5img", 1)]
)
def test_each_unit_counts_its_own_and_ends_at_one(text: str, share: float) -> None:
    assert Budget.parse(text).fraction(images=100, steps=10, seconds=30) == pytest.approx(share)


# Configurations


def test_a_configuration_has_the_usual_defaults() -> None:
    config = checked(TrainConfig, RUN, "here")
    assert config.budget == Budget(60, "seconds")
    assert (config.trainer, config.seed, config.batch_size, config.precision) == (None, 0, 128, "auto")


def test_a_configuration_reads_back_from_its_json() -> None:
    config = checked(TrainConfig, {**RUN, "budget": "1.5m", "model_options": {"width": 3}}, "here")
    assert config.model_dump(mode="json")["budget"] == "90s"
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"batchsize": 3}, "here: unknown key 'batchsize'; did you mean 'batch_size'? (allowed: model, model_options"),
        ({"budget": "60"}, "here: budget: budget '60' is no number with a unit"),
        ({"budget": 60}, "here: budget = 60: "),
        ({"batch_size": 0}, "here: batch_size = 0: Input should be greater than 0"),
        ({"precision": "fp8"}, "here: precision = 'fp8': Input should be 'auto', 'float32' or 'bf16'"),
        ({"seed": -1}, "here: seed = -1: "),
        ({"seed": 2**32}, "here: seed = 4294967296: "),
        ({"ema": 2}, "here: ema = 2: "),
        ({"clip": float("inf")}, "here: clip = inf: "),
        ({"warmup": -0.1}, "here: warmup = -0.1: "),
        ({"model_options": [1]}, "here: model_options = [1]: "),
    ],
)
def test_a_wrong_value_is_one_line_that_says_where(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        checked(TrainConfig, {**RUN, **change}, "here")
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(InvalidConfig, match=r"^here: key 'data' is missing$"):
        checked(TrainConfig, {"model": "ddpm", "budget": "60s"}, "here")


def test_configurations_cost_no_torch() -> None:
    code = "import sys, genzoo.config, genzoo.suites; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


# Ids


def run_id(fingerprint: str = "f", versions: dict[str, str] | None = None, **changes: Any) -> str:
    return train_id(checked(TrainConfig, {**RUN, **changes}, "here"), fingerprint, versions or {"diffusion": "1.0"})


def test_an_id_reads_as_what_it_is() -> None:
    assert re.fullmatch(r"ddpm-digits-[0-9a-f]{8}", run_id())


def test_an_id_does_not_depend_on_how_the_same_thing_is_said() -> None:
    assert run_id(budget="90s") == run_id(budget="1.5m")
    assert run_id(model_options={"a": 1, "b": 2}) == run_id(model_options={"b": 2, "a": 1})
    assert run_id(clip=1) == run_id(clip=1.0) == run_id()


def test_an_id_depends_on_everything_that_changes_the_weights() -> None:
    changes: list[dict[str, Any]] = [
        {"model": "vae"}, {"model_options": {"width": 3}}, {"data": "rings"}, {"size": 16}, {"trainer": "elbo"},
        {"trainer_options": {"lr": 1}}, {"budget": "61s"}, {"budget": "60steps"}, {"seed": 1}, {"batch_size": 64},
        {"ema": 0}, {"clip": 0}, {"warmup": 0}, {"precision": "bf16"},
        {"fingerprint": "g"}, {"versions": {"diffusion": "1.1"}},
    ]  # fmt: skip
    ids = {run_id(**change) for change in changes}
    assert len(ids | {run_id()}) == len(changes) + 1
    assert set(TrainConfig.model_fields) <= {key for change in changes for key in change}


def test_ids_are_names_of_folders_whatever_the_data_is_called() -> None:
    for data in ("hub:org/Some_Set:config", "folder:/a/very/long/path/" + "x" * 300, "folder:..", "parquet:ü"):
        assert re.fullmatch(r"ddpm-[a-z0-9-]{0,40}[0-9a-f]{8}", run_id(data=data))


def test_a_sample_set_has_the_id_of_its_run_its_sampler_and_the_protocol() -> None:
    def draw_id(run: str = "r", protocol: str = "p", versions: str = "1.0", **changes: Any) -> str:
        return sample_id(checked(SampleConfig, {"sampler": "ddim", **changes}, "here"), run, protocol, {"d": versions})

    assert re.fullmatch(r"ddim-[0-9a-f]{8}", draw_id())
    changes: list[dict[str, Any]] = [
        {"run": "s"}, {"protocol": "q"}, {"versions": "1.1"}, {"sampler": "ddpm"}, {"options": {"eta": 1}},
        {"num_samples": 5}, {"seed": 1}, {"extractor": "cnn8"},
    ]  # fmt: skip
    assert len({draw_id(**change) for change in [{}, *changes]}) == len(changes) + 1


def test_unusual_judges_give_a_sample_set_another_id_and_the_usual_ones_none() -> None:
    def judged_id(judged: dict[str, Any] | None = None) -> str:
        config = SampleConfig(sampler="ddim", num_samples=9, extractor="cnn8")
        return sample_id(config, "run-1", "genzoo-eval/1", {"d": "1"}, judged)

    assert judged_id() == judged_id({}) == "ddim-ed9b3b33"  # as finished results have it
    assert len({judged_id(), judged_id({"likelihood_images": 8}), judged_id({"beside": "none"})}) == 3
