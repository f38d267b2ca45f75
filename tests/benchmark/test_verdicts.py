"""The words under a table claim what the intervals carry, and no more."""

from collections.abc import Callable

from genzoo.benchmark.table import build
from genzoo.benchmark.verdicts import finding, legend, verdict
from genzoo.evaluation.parts import Metric, measured
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Seeds = Callable[..., list[Record]]


def test_between_single_checkpoints_it_is_conditional_on_their_seeds(records: Records) -> None:
    (table,) = build([records("sngan", "a", score=1.0), records("vae", "b", score=1.2), records("ebm", "c", score=9.0)])
    assert verdict(table) == (
        "sngan · a beats ebm · c; between sngan · a and vae · b (0.20 ± 0.24) the difference does not exclude 0. "
        "Every interval is conditional on the one training seed of each model: another seed may turn the order."
    )
    assert "± standard error within one checkpoint" in legend(table)


def test_over_seeds_it_is_welch_s(seeds: Seeds) -> None:
    (table,) = build([*seeds("ddpm", "ddim", 1.0, 1.1, 1.2), *seeds("vae", "decode", 3.0, 3.1, 3.2)])
    assert verdict(table) == "ddpm · ddim beats vae · decode. Intervals are Welch's, over training seeds."
    assert "± half the 95 % Student interval over training seeds" in legend(table)


def test_with_one_seed_here_and_several_there_it_says_which_is_conditional(seeds: Seeds, records: Records) -> None:
    (table,) = build([*seeds("ddpm", "ddim", 1.0, 1.1, 1.2), records("vae", "decode", score=4.0)])
    assert verdict(table).endswith("Where a model has one seed only, the interval is conditional on that training.")


def test_seeds_that_scatter_take_a_lead_back_that_a_single_checkpoint_would_claim(seeds: Seeds) -> None:
    one, other = seeds("a", "x", 1.0, 2.0, 3.0), seeds("b", "y", 2.5, 3.5, 4.5)
    (single,), (three,) = build([one[0], other[0]]), build([*one, *other])
    assert "a · x beats b · y" in verdict(single)
    assert "between a · x and b · y (1.5 ± 2.3) the difference does not exclude 0" in verdict(three)


def test_where_an_error_is_not_known_nothing_is_claimed(records: Records) -> None:
    def bare(value: float) -> dict[str, Metric]:
        return {"fd_debiased": measured(value, "lower", "made up")}

    (table,) = build([records("a", "x", metrics=bare(1.0)), records("b", "y", metrics=bare(9.0))])
    assert verdict(table).startswith("between a · x and b · y nothing is claimed, an error is not known.")


def test_one_model_alone_is_compared_with_nobody(records: Records) -> None:
    (table,) = build([records("vae", "decode"), records("gaussian", "", role="floor", score=9.0)])
    assert verdict(table) == ""
    assert finding(table).startswith("vae · decode has the lowest FD debiased, 1.00 ± 0.08. For scale: gaussian")


def test_a_table_of_failures_has_no_finding(records: Records) -> None:
    (table,) = build([records("vae", "decode", status="failed", reason="x", metrics={})])
    assert (finding(table), verdict(table)) == ("No model has finished here.", "")
