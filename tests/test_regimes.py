"""Equal cost is read from what was measured: who is more than 5 % off is named, with the numbers."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from genzoo.config import Regime
from genzoo.evaluation.record import Content, Record, seal
from genzoo.regimes import check, preview

REGIMES: list[Regime] = ["equal-parameters", "equal-training", "equal-calls"]
NUMBER = {"equal-parameters": "parameters", "equal-training": "flops", "equal-calls": "calls"}


def row(
    name: str,
    *,
    parameters: int | None = 1_000_000,
    flops: float | None = 3e12,
    seconds: float = 30.0,
    budget: str = "500steps",
    calls: float | None = 50.0,
    **rest: Any,
) -> Record:
    """A record that cost as much; ``rest`` replaces whole parts, or a fact of the machine."""
    machine = {"cpu": "a processor", "gpu": None, "threads": 2} | {
        k: rest.pop(k) for k in ("cpu", "gpu", "threads") if k in rest
    }
    counts = parameters and {"generator": parameters, "total": 2 * parameters, "training": 3 * parameters}
    parts = {
        "status": "ok",
        "role": "model",
        "code": {"version": "0.1.0", "git": None},
        "environment": {"python": "3.11", "torch": "2", "diffusers": None, "precision": "float32", **machine},
        "model": {"name": name, "plugin": name, "plugin_version": "1", "options": {}, "parameters": counts,
                  "checkpoint": rest.pop("checkpoint", name), "seed": 0},
        "training": {"trainer": "t", "options": {}, "budget": budget, "batch_size": 64, "images_seen": 1, "steps": 1,
                     "seconds": seconds, "flops": flops, "peak_memory_mb": None, "precision": "float32"},
        "data": {"name": "digits", "fingerprint": "d", "split": "test", "n": 5, "shape": [1, 8, 8], "levels": 17},
        "sampling": {"sampler": "s", "options": {}, "n": 5, "seed": 0, "calls_per_sample": calls, "seconds": 1.0,
                     "num_not_finite": 0, "sha256": None},
    }  # fmt: skip
    return seal(Content.model_validate(parts | rest))


def told(records: list[Record], regime: Regime, target: float | None = None) -> dict[str, str]:
    """Reasons by the names of models."""
    reasons = check(records, regime, target)
    assert not any("\n" in reason for reason in reasons.values())
    return {record.model.name: reasons[record.id] for record in records if record.id in reasons}


def test_a_budget_that_is_none_is_not_one_in_seconds() -> None:
    assert told([row("vae", budget="forever"), row("gan", flops=None)], "equal-training").keys() == {"gan"}


def test_who_needs_more_parameters_than_the_median_is_named() -> None:
    records = [row("vae", parameters=980_000), row("gan", parameters=1_000_000), row("ddpm", parameters=1_312_000)]
    assert told(records, "equal-parameters") == {
        "ddpm": "1,312,000 parameters, 31.2 % over the table's median 1,000,000: equal-parameters allows 5 %"
    }


def test_a_suite_may_say_how_many_there_are_to_be() -> None:
    records = [row("vae", parameters=980_000), row("gan", parameters=1_000_000), row("ddpm", parameters=1_312_000)]
    assert told(records, "equal-parameters", 1_300_000) == {
        "vae": "980,000 parameters, 24.6 % under the suite's 1,300,000: equal-parameters allows 5 %",
        "gan": "1,000,000 parameters, 23.1 % under the suite's 1,300,000: equal-parameters allows 5 %",
    }
    assert told([row("alone", calls=55)], "equal-calls", 50) == {
        "alone": "55 calls a sample, 10.0 % over the suite's 50: equal-calls allows 5 %"
    }


def test_calls_are_those_that_were_counted() -> None:
    records = [row("ddim", calls=50), row("langevin", calls=50), row("heun", calls=99)]
    assert told(records, "equal-calls") == {
        "heun": "99 calls a sample, 98.0 % over the table's median 50: equal-calls allows 5 %"
    }


def test_training_is_operations_where_budgets_are_not_all_in_seconds() -> None:
    records = [row("vae", seconds=1), row("gan", flops=3.1e12, budget="30s"), row("ddpm", flops=9e12, seconds=30)]
    assert told(records, "equal-training") == {
        "ddpm": "9e+12 floating-point operations of training, 190.3 % over the table's median 3.1e+12:"
        " equal-training allows 5 %"
    }


def test_training_is_seconds_where_every_budget_is() -> None:
    def timed(name: str, seconds: float, **rest: Any) -> Record:
        return row(name, seconds=seconds, flops=seconds * 1e9, budget="30s", **rest)

    records = [timed("vae", 30.0), timed("gan", 30.4), timed("ddpm", 33.1)]
    assert told(records, "equal-training") == {
        "ddpm": "33.1 seconds of training, 8.9 % over the table's median 30.4: equal-training allows 5 %"
    }


@pytest.mark.parametrize("fact", [{"cpu": "another one"}, {"gpu": "a GPU"}, {"threads": 8}])
def test_seconds_are_those_of_one_machine(fact: dict[str, Any]) -> None:
    records = [row("vae", budget="30s"), row("gan", budget="30s"), row("ddpm", budget="30s", **fact)]
    reasons = told(records, "equal-training")
    assert reasons.keys() == {"ddpm"} and str(next(iter(fact.values()))) in reasons["ddpm"]
    assert reasons["ddpm"].endswith(
        "most of the table on a processor, 2 threads: equal-training in seconds needs one machine"
    )
    assert not told([record.model_copy(update={"training": row("x").training}) for record in records], "equal-training")


@pytest.mark.parametrize("fact", [{"cpu": "another one"}, {"gpu": "a GPU"}, {"threads": 8}])
def test_it_is_the_machine_that_trained_and_not_the_one_that_evaluated(fact: dict[str, Any]) -> None:
    def trained(name: str, here: dict[str, Any], evaluated: dict[str, Any]) -> Record:
        one = row(name, budget="30s", **evaluated)
        on = {"cpu": "a processor", "gpu": None, "threads": 2, **here}
        return one.model_copy(update={"training": one.training and one.training.model_copy(update=on)})

    both = [trained("vae", {}, {}), trained("gan", {}, {})]
    assert not told([*both, trained("ddpm", {}, fact)], "equal-training")
    assert told([*both, trained("ddpm", fact, {})], "equal-training").keys() == {"ddpm"}


def test_a_training_that_was_sampled_in_several_ways_counts_once() -> None:
    many = [row("ddpm", parameters=2_000_000, calls=calls) for calls in (10, 50, 250, 1000)]
    others = [row(name, parameters=1_000_000) for name in ("vae", "gan")]
    assert told([*many, *others], "equal-parameters").keys() == {"ddpm"}


@pytest.mark.parametrize(
    ("regime", "unit"),
    [
        ("equal-parameters", "parameters"),
        ("equal-training", "floating-point operations of training"),
        ("equal-calls", "calls a sample"),
    ],
)
def test_what_nobody_measured_is_not_taken_for_equal(regime: Regime, unit: str) -> None:
    unknown = row("foreign", **{NUMBER[regime]: None})
    assert told([row("vae"), row("gan"), unknown], regime) == {
        "foreign": f"its {unit} are not known: {regime} cannot be checked"
    }
    assert told([unknown], regime).keys() == {"foreign"}


@pytest.mark.parametrize("regime", REGIMES)
def test_what_was_not_trained_here_at_all_cannot_be_checked(regime: Regime) -> None:
    foreign = row("foreign", parameters=None, training=None, sampling=None)
    assert told([row("vae"), row("gan"), foreign], regime).keys() == {"foreign"}


@pytest.mark.parametrize("regime", REGIMES)
def test_references_and_failed_runs_are_exempt_and_do_not_weigh(regime: Regime) -> None:
    costly: dict[str, Any] = {"parameters": 10**9, "flops": 1e20, "calls": 1e6}
    exempt = [
        row("gaussian", role="floor", **costly),
        row("train-vs-test", role="ceiling", **costly),
        row("broken", status="failed", reason="loss is nan", **costly),
    ]
    assert told([row("vae"), row("gan"), *exempt], regime) == {}
    assert told(exempt, regime) == told([], regime) == {}


def test_where_most_do_nothing_something_is_more() -> None:
    records = [row("a", calls=0), row("b", calls=0), row("c", calls=1)]
    assert told(records, "equal-calls") == {
        "c": "1 calls a sample, more over the table's median 0: equal-calls allows 5 %"
    }


VALUES = st.lists(st.integers(1, 10**12), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(VALUES, st.sampled_from(REGIMES))
def test_exactly_those_beyond_five_percent_of_the_target_are_named(values: list[int], regime: Regime) -> None:
    records = [row(str(i), **{NUMBER[regime]: value}) for i, value in enumerate(values)]
    target = values[0]
    expected = {str(i) for i, value in enumerate(values) if abs(value - target) > 0.05 * target}
    assert told(records, regime, target).keys() == expected


@settings(max_examples=50, deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_neither_the_unit_nor_the_order_matters(values: list[int], random: Any) -> None:
    records = [row(str(i), calls=value) for i, value in enumerate(values)]
    scaled = [row(str(i), calls=value * 1024) for i, value in enumerate(values)]
    random.shuffle(scaled)
    assert told(records, "equal-calls").keys() == told(scaled, "equal-calls").keys()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10**9), st.lists(st.floats(0.976, 1.024), min_size=1, max_size=6))
def test_rows_within_a_twentieth_of_each_other_all_pass(size: int, factors: list[float]) -> None:
    records = [row(str(i), calls=size * factor) for i, factor in enumerate(factors)]
    assert told(records, "equal-calls") == {}


def test_parameters_can_be_checked_before_anything_is_trained() -> None:
    assert preview({"vae": 100, "gan": 103, "ddpm": 150}) == {
        "ddpm": "150 parameters, 45.6 % over the table's median 103: equal-parameters allows 5 %"
    }
    assert preview({"vae": 100, "ddpm": 150}, 151).keys() == {"vae"}
    assert preview({}) == {}
