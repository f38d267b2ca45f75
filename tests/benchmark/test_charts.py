"""The charts are valid plotly, and what they claim about cost is true."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.benchmark.charts import by_model, colour, cost_chart, loss_chart, pareto, trade_chart
from genzoo.benchmark.columns import Column
from genzoo.benchmark.costs import CALLS, CHARTED, TRAINING
from genzoo.benchmark.table import Table, build
from genzoo.evaluation.parts import measured
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Zoo = Callable[[str], list[Record]]


@pytest.fixture
def table(zoo: Zoo) -> Table:
    return build(zoo("digits"))[0]


def without_variables(part: Any) -> Any:
    """The page resolves CSS variables; plotly's own validation wants a colour."""
    if isinstance(part, dict):
        return {key: without_variables(value) for key, value in part.items()}
    if isinstance(part, list):
        return [without_variables(value) for value in part]
    return "#000" if isinstance(part, str) and part.startswith("var(--") else part


def test_charts_are_valid_plotly(table: Table) -> None:
    log = [{"images": i, "loss": {"critic": 1.0, "generator": -1.0}} for i in range(3)]
    for figure in (cost_chart(table, CALLS), loss_chart(log, 0), trade_chart(table)):
        assert figure
        go.Figure(without_variables(figure))


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0, 10)), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_front_is_what_no_other_beats(points: list[tuple[float, float]]) -> None:
    front = pareto(points)
    for x, y in points:
        assert any(a <= x and b <= y for a, b in front)
        if (x, y) in front:
            assert not any((a <= x and b < y) or (a < x and b <= y) for a, b in points)


def test_the_samplings_of_one_model_are_joined_in_order_of_cost(table: Table) -> None:
    figure = cost_chart(table, CALLS)
    assert figure
    (ddpm,) = [trace for trace in figure["data"] if trace.get("name") == "ddpm"]
    assert ddpm["x"] == [10, 50, 1000] and ddpm["y"] == [1.9, 0.8, 0.75]


def test_each_family_has_a_front_of_its_own_points(records: Records) -> None:
    def one(model: str, plugin: str, score: float, calls: float) -> Record:
        costs = {"sampling__calls_per_sample": calls, "model__plugin": plugin}
        return records(model, f"{calls:g} calls", score=score, **costs)

    diffusion = [one("ddpm", "diffusion", 3, 10), one("ddpm", "diffusion", 2, 50), one("edm", "diffusion", 1, 20)]
    (table,) = build([*diffusion, one("gan", "gan", 0.9, 1)])
    figure = cost_chart(table, CALLS)
    assert figure
    fronts = {
        t["name"]: list(zip(t["x"], t["y"], strict=True)) for t in figure["data"] if "front of" in str(t.get("name"))
    }
    assert fronts == {"front of diffusion": [(10, 3), (20, 1)]}  # a family of one point needs no line


def test_a_mean_over_seeds_is_drawn_with_its_interval(seeds: Callable[..., list[Record]], records: Records) -> None:
    (table,) = build([*seeds("vae", "decode", 1.0, 2.0, 3.0), records("gan", "x", sampling__calls_per_sample=9)])
    figure = cost_chart(table, CALLS)
    assert figure
    (vae,) = [trace for trace in figure["data"] if trace.get("name") == "vae"]
    assert vae["y"] == [2.0] and vae["error_y"]["array"] == [pytest.approx(4.3027 / 3**0.5, rel=1e-4)]


@pytest.mark.parametrize("cost", CHARTED, ids=lambda cost: cost.key)
def test_quality_is_drawn_against_every_cost(records: Records, cost: Column) -> None:
    more = {
        "sampling__calls_per_sample": 9.0,
        "sampling__flops_per_sample": 2e9,
        "sampling__seconds": 9.0,
        "training__flops": 9e14,
        "training__seconds": 99.0,
        "model__parameters": {"generator": 10**6, "total": 10**6, "training": 10**6},
    }
    (table,) = build([records("vae", "decode"), records("gan", "x", score=2.0, **more)])
    assert cost_chart(table, cost)


def test_two_runs_at_one_point_are_both_drawn(records: Records) -> None:
    twins = [records("vae", "decode", sampling__seed=seed) for seed in (0, 1)]
    (table,) = build([*twins, records("a", "b", sampling__calls_per_sample=9)])
    figure = cost_chart(table, CALLS)
    assert figure
    (vae,) = [trace for trace in figure["data"] if trace.get("name") == "vae"]
    assert vae["x"] == [1, 1]


def test_reference_rows_are_lines_across_the_chart(table: Table) -> None:
    figure = cost_chart(table, CALLS)
    assert figure
    heights = {trace["text"][0]: trace["y"] for trace in figure["data"] if trace["mode"] == "lines+text"}
    assert heights == {"train-vs-test": [0.05, 0.05], "gaussian": [9.0, 9.0]}


def test_a_cost_that_is_equal_for_all_or_unknown_has_no_chart(table: Table, records: Records) -> None:
    assert cost_chart(table, TRAINING) is None
    (unknown,) = build([records("a", "b", training=None), records("c", "d", training=None)])
    assert cost_chart(unknown, TRAINING) is None


def test_a_debiased_distance_below_zero_makes_the_axis_linear(records: Records) -> None:
    (table,) = build([records("a", "x", score=-0.1), records("b", "y", score=1.0, sampling__calls_per_sample=9)])
    figure = cost_chart(table, CALLS)
    assert figure and "type" not in figure["layout"]["yaxis"] and -0.1 in figure["data"][-2]["y"]


def test_a_ceiling_below_zero_is_left_out_of_a_logarithmic_chart(records: Records) -> None:
    ceiling = records("train-vs-test", "", score=-0.01, role="ceiling")
    (table,) = build([ceiling, records("a", "x"), records("b", "y", sampling__calls_per_sample=9)])
    figure = cost_chart(table, CALLS)
    assert figure and figure["layout"]["yaxis"]["type"] == "log"
    assert all(y > 0 for trace in figure["data"] for y in trace["y"])


def test_guidance_draws_a_curve_of_precision_against_recall(records: Records) -> None:
    """The samplings of one model in order of their recall, one that has lost all of it among them."""
    curve = {0: (0.5, 0.8), 2: (0.7, 0.5), 8: (0.9, 0.0)}
    guided = [
        records(
            "flow-matching",
            "flow",
            sampling__guidance=weight,
            metrics__precision=measured(precision, "higher", "made up"),
            metrics__recall=measured(recall, "higher", "made up"),
        )
        for weight, (precision, recall) in curve.items()
    ]
    figure = trade_chart(build(guided)[0])
    assert figure
    (drawn,) = figure["data"]
    assert drawn["x"] == [0.0, 0.5, 0.8] and drawn["y"] == [0.9, 0.7, 0.5]


def test_real_images_are_a_cross_and_points_have_no_such_chart(zoo: Zoo, table: Table) -> None:
    figure = trade_chart(table)
    assert figure and "train-vs-test" in figure["data"][0]["text"][0]
    assert trade_chart(build(zoo("8gaussians"))[0]) is None


def test_names_are_escaped_because_plotly_reads_markup(table: Table) -> None:
    figure, log = cost_chart(table, CALLS), loss_chart([{"images": i, "loss": {"<b>x": 1.0}} for i in (0, 1)], 0)
    assert figure and log
    assert "<script>" not in str(figure) and log["data"][0]["name"] == "&lt;b&gt;x"


def test_a_loss_that_is_not_finite_leaves_a_gap() -> None:
    figure = loss_chart([{"images": 0, "loss": {"loss": 1.0}}, {"images": 64, "loss": {"loss": float("nan")}}], 0)
    assert figure and figure["data"][0]["y"] == [1.0, None]


def test_no_log_no_chart() -> None:
    assert loss_chart([], 0) is None
    assert loss_chart([{"images": 0}, {"images": 64}], 0) is None


def test_a_model_has_one_colour_everywhere(table: Table) -> None:
    figure = cost_chart(table, CALLS)
    assert figure
    drawn = {trace["name"]: trace["marker"]["color"] for trace in figure["data"] if "marker" in trace}
    assert [drawn[name] for name in list(by_model(table))[:5]] == [colour(i) for i in range(5)]
