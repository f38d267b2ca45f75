"""Which records may share a table, in what order, and what is bold."""

import math
import re
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genzoo.benchmark.labels import plain
from genzoo.benchmark.table import Table, build
from genzoo.evaluation.parts import Likelihood, measured
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Zoo = Callable[[str], list[Record]]


def labels(table: Table) -> list[str]:
    return [row.label for row in table.rows]


def bold(table: Table, column: str) -> list[str]:
    return [row.label for row in table.rows if row.cells and row.cells[column].best]


def scored(records: Records, **scores: tuple[float, float | None]) -> Table:
    """One table of models with these headline values and standard errors."""
    made = []
    for name, (value, se) in scores.items():
        metrics = {"fd_debiased": measured(value, "lower", "made up", se=se)}
        made.append(records(name, "decode", metrics=metrics))
    (table,) = build(made)
    return table


def test_ceiling_first_then_models_by_headline_then_failures_then_floor(zoo: Zoo, hostile: str) -> None:
    (table,) = build(zoo("digits"))
    assert labels(table) == [
        "train-vs-test",
        "ddpm · ddpm",
        "ddpm · ddim num_steps=50",
        "ddpm · ddim num_steps=10",
        "gan · decode",
        "realnvp · decode",
        "vae · decode",
        "ebm · langevin num_steps=60",
        f"{hostile} · </script>{hostile}",
        "broken · decode",
        "gaussian",
    ]


def test_points_are_ranked_by_their_own_metrics(zoo: Zoo) -> None:
    (table,) = build(zoo("8gaussians"))
    assert table.headline.key == "mmd2"
    assert {"modes_covered", "good_points", "sliced_w2"} <= {column.key for column in table.columns}
    assert "fd" not in {column.key for column in table.columns}


def test_a_failed_run_is_a_row_with_its_reason(records: Records) -> None:
    (table,) = build([records("gan", "decode", status="failed", reason="loss is nan\nat step 3", metrics={})])
    (row,) = table.rows
    assert (row.role, row.reason, dict(row.cells)) == ("failed", "loss is nan at step 3", {})


def test_a_failed_run_stands_with_the_others_on_its_data(records: Records) -> None:
    failed = records("gan", "decode", status="failed", reason="x", extractor=None, data__n=0)
    (table,) = build([failed, records("vae", "decode")])
    assert labels(table) == ["vae · decode", "gan · decode"]


def test_bold_marks_what_nothing_beats(records: Records) -> None:
    table = scored(records, best=(1.0, 0.1), level=(1.2, 0.1), worse=(1.5, 0.1))
    assert bold(table, "fd_debiased") == ["best · decode", "level · decode"]


def test_bold_needs_a_winner_not_nearness_to_the_first(records: Records) -> None:
    """A vague value is not told from the first, and still is beaten by another that is better known."""
    table = scored(records, first=(1.0, 0.5), sure=(1.1, 0.01), beaten=(1.3, 0.01))
    assert bold(table, "fd_debiased") == ["first · decode", "sure · decode"]


def test_without_an_error_nothing_leads_and_nothing_is_beaten(records: Records) -> None:
    assert bold(scored(records, best=(1.0, None), worse=(9.0, None)), "fd_debiased") == []
    mixed = scored(records, best=(1.0, 0.1), unknown=(0.2, None), worse=(2.0, 0.1))
    assert bold(mixed, "fd_debiased") == ["best · decode"]


def test_an_error_of_zero_within_one_checkpoint_is_no_error(records: Records) -> None:
    assert bold(scored(records, best=(1.0, 0.0), worse=(9.0, 0.0)), "fd_debiased") == []


def test_nobody_leads_alone_or_among_equals(records: Records) -> None:
    assert bold(scored(records, only=(1.0, 0.1)), "fd_debiased") == []
    assert bold(scored(records, one=(1.0, 0.1), other=(1.1, 0.1)), "fd_debiased") == []


def test_reference_rows_are_never_bold(zoo: Zoo) -> None:
    (table,) = build(zoo("digits"))
    for row in table.rows:
        if row.role != "model":
            assert not any(cell.best for cell in row.cells.values())


def test_a_higher_precision_is_better(zoo: Zoo) -> None:
    (table,) = build(zoo("digits"))
    values = {row.label: row.cells["precision"].reading.value or 0.0 for row in table.models}
    assert bold(table, "precision")[0] == max(values, key=values.__getitem__)


def test_kinds_of_likelihood_are_never_ranked_together(records: Records) -> None:
    def of(name: str, value: float, kind: str) -> Record:
        return records(name, "decode", likelihood=(Likelihood(value=value, unit="bits/dim", kind=kind, se=0.01),))

    (table,) = build([of("a", 3.0, "lower bound"), of("b", 3.5, "lower bound"), of("c", 2.0, "quadrature")])
    assert bold(table, "likelihood") == ["a · decode"]
    texts = {row.model: row.cells["likelihood"].text for row in table.rows}
    assert texts == {"a": "≤ 3.00 ± 0.01", "b": "≤ 3.50 ± 0.01", "c": "≈ 2.00 ± 0.01"}


def test_only_inception_s_distance_is_called_fid(records: Records) -> None:
    (ours,), (inception,) = (
        build([records("vae", "decode")]),
        build([records("vae", "x", extractor__literature_comparable=True)]),
    )
    assert ours.headline.title == "FD debiased" and "not comparable with the literature's FID" in ours.facts
    assert inception.headline.title == "FID debiased" and "not comparable" not in str(inception.facts)


def test_no_number_stands_without_its_protocol(records: Records) -> None:
    (table,) = build([records("vae", "decode")])
    told = " · ".join(table.facts)
    for part in ("grey images of 17 levels", "500 samples", "test split", "cnn8@1a2b3c4d", "genzoo-eval/1"):
        assert part in told


def test_what_a_perfect_model_would_score_stands_beside_the_column(records: Records) -> None:
    (table,) = build([records("vae", "decode")])
    assert {column.key: table.expected(column) for column in table.columns if table.expected(column)} == {
        "fd_debiased": "0.00",
        "coverage": "0.97",
        "vendi": "9.40",
        "copy_rate": "1.0 %",
        "exact_duplicates": "0",
    }


def test_labels_tell_the_settings_in_which_runs_of_one_name_differ(records: Records) -> None:
    same, twenty = {"likelihood": ()}, {"num_steps": 20}
    (table,) = build(
        [
            records("ddpm", "ddim", score=1, sampling__options={"num_steps": 10, "eta": 0.0}, **same),
            records("ddpm", "ddim", score=2, sampling__options={"num_steps": 10, "eta": 1.0}, **same),
            records("vae", "decode", score=3, training__options=twenty),
            records("vae", "decode", score=4, training__options=twenty, model__seed=1, model__options={"width": 32}),
        ]
    )
    assert labels(table) == [
        "ddpm · ddim num_steps=10 eta=0.0",
        "ddpm · ddim num_steps=10 eta=1.0",
        "vae width=64 seed=0 · decode",
        "vae width=32 seed=1 · decode",
    ]


def test_a_sampler_s_settings_are_compared_on_one_model(records: Records) -> None:
    def drawn(model: str, temperature: float) -> Record:
        return records(model, "decode", sampling__options={"temperature": temperature}, likelihood=())

    (table,) = build([drawn("vae", 1.0), drawn("glow", 1.0), drawn("glow", 0.9)])
    assert sorted(labels(table)) == ["glow · decode temperature=0.9", "glow · decode temperature=1.0", "vae · decode"]


def test_warnings_are_told_once_with_the_rows_they_are_about(records: Records) -> None:
    (table,) = build(
        [
            records("vae", "decode", warnings=["few images"]),
            records("gan", "decode", warnings=["few images", "odd"], sampling__num_not_finite=3),
        ]
    )
    assert set(table.notes) == {"few images", "gan · decode: odd", "gan · decode: 3 of 500 samples were not finite"}


def test_reference_and_failed_rows_share_no_warning_and_change_no_label(records: Records) -> None:
    (table,) = build(
        [
            records("gaussian", "gaussian", role="floor", warnings=[], training=None, model__plugin_version=None),
            records("vae", "decode", warnings=["few images"]),
            records(
                "vae", "decode", status="failed", reason="x", training=None, model__plugin_version=None, warnings=[]
            ),
        ]
    )
    assert table.notes == ("few images",)
    assert [row.label.split(" #")[0] for row in table.rows] == ["vae", "vae", "gaussian"]


def test_rows_that_no_setting_tells_apart_have_their_ids(records: Records) -> None:
    (table,) = build([records("vae", "decode", code__git=git) for git in ("aaa", "bbb")])
    first, second = labels(table)
    assert first != second and all(re.fullmatch(r"vae #[0-9a-f]{6} · decode", label) for label in (first, second))


def test_errors_and_reasons_are_in_the_hint(records: Records) -> None:
    failed = measured(math.nan, "lower", "made up")
    gan = records("gan", "decode", metrics={**records("gan", "decode").metrics, "kid": failed})
    (table,) = build([gan, records("vae", "decode", score=2.0)])
    cells = table.rows[0].cells
    assert cells["fd_debiased"].hint == "± 0.08 (standard error within one checkpoint)"
    assert (cells["kid"].text, cells["kid"].hint) == ("\N{EN DASH}", "the value came out as nan")


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_other_people_s_text_becomes_one_short_printable_line(text: str) -> None:
    assert plain(text).isprintable() and len(plain(text)) <= 80


@given(values=st.lists(st.tuples(st.floats(-1e9, 1e9), st.none() | st.floats(0, 1e9)), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_can_be_printed_and_ranked(records: Records, values: list[tuple[float, float | None]]) -> None:
    table = scored(records, **{f"m{i}": pair for i, pair in enumerate(values)})
    assert [row.cells["fd_debiased"].reading.value for row in table.rows] == sorted(value for value, _ in values)
