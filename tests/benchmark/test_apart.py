"""What may not stand in one ranked column does not, and the table says why: protocol, regime, machine."""

from collections.abc import Callable

import pytest

from genzoo.benchmark.charts import cost_chart
from genzoo.benchmark.costs import SAMPLING
from genzoo.benchmark.markdown import to_markdown
from genzoo.benchmark.table import build
from genzoo.benchmark.text import to_text
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Seeds = Callable[..., list[Record]]
WHY = "50 calls a sample, 4,900.0 % over the table's median 1: equal-calls allows 5 %"


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("data__fingerprint", "other", "data differs: d1 and other"),
        ("data__split", "train", "split differs: test and train"),
        ("data__n", 499, "real examples differs: 500 and 499"),
        ("data__levels", 256, "quantiser differs: 17 and 256"),
        ("data__preparation", "resized", "preparation differs: None and resized"),
        ("sampling__n", 400, "samples differs: 500 and 400"),
        ("extractor__hash", "ffff", "extractor differs: cnn8@1a2b3c4d5e6f and cnn8@ffff"),
        ("protocol", "genzoo-eval/2", "protocol differs: genzoo-eval/1 and genzoo-eval/2"),
        ("regimes", {"equal-calls": None}, "regime differs: none and equal-calls"),
    ],
)
def test_what_is_not_comparable_stands_in_a_table_of_its_own_that_says_why(
    records: Records, path: str, value: object, what: str
) -> None:
    tables = build([records("vae", "decode"), records("gan", "decode"), records("realnvp", "decode", **{path: value})])
    assert [[row.model for row in table.rows] for table in tables] == [["gan", "vae"], ["realnvp"]]
    told = f"Not comparable with another table on digits: {what}"
    assert told in tables[0].notes and told in flat(to_text(tables)) and told in to_markdown(tables).replace("\\", "")
    assert any(note.startswith("Not comparable with another table on digits") for note in tables[1].notes)


def test_a_reference_row_stands_in_every_table_that_it_is_comparable_with(records: Records) -> None:
    ceiling = records("train-vs-test", "", role="ceiling")
    tables = build([ceiling, records("vae", "decode"), records("gan", "decode", regimes={"equal-calls": None}),
                    records("ebm", "langevin", extractor__hash="ffff")])  # fmt: skip
    assert [{row.model for row in table.rows} for table in tables] == [
        {"train-vs-test", "vae"},
        {"train-vs-test", "gan"},
        {"ebm"},
    ]


def test_seconds_of_different_machines_are_not_ranked_together(records: Records) -> None:
    one = records("vae", "decode", sampling__seconds=9.0, sampling__calls_per_sample=9.0)
    (table,) = build([one, records("gan", "decode", environment__cpu="another"), records("ebm", "langevin")])
    kinds = {row.model: (row.cells["sampling_seconds"].sort or ("", 0))[0] for row in table.rows}
    assert kinds == {"vae": "a processor, 2 threads", "ebm": "a processor, 2 threads", "gan": "another, 2 threads"}
    assert any("measured on different machines, so they are not ranked together" in note for note in table.notes)
    assert "gan · decode on another, 2 threads" in str(table.notes)
    assert cost_chart(table, SAMPLING) is None


def test_seconds_of_seeds_on_different_machines_have_no_mean(records: Records) -> None:
    (table,) = build([records("vae", "decode", model__seed=s, environment__threads=s + 1) for s in (0, 1)])
    (row,) = table.rows
    assert row.cells["fd_debiased"].reading.seeds == 2
    assert "different kinds" in row.cells["training_seconds"].hint


def test_training_was_timed_where_it_was_trained(records: Records) -> None:
    here = {"training__cpu": "a processor", "training__threads": 2}
    elsewhere = {"training__cpu": "another", "training__gpu": "a GPU", "training__threads": 4}
    (table,) = build([records("vae", "decode", **here), records("gan", "decode", **elsewhere)])
    kinds = {
        key: {row.model: row.cells[key].reading.kind for row in table.rows}
        for key in ("training_seconds", "sampling_seconds")
    }
    assert kinds["training_seconds"] == {"vae": "a processor, 2 threads", "gan": "a GPU, 4 threads"}
    assert set(kinds["sampling_seconds"].values()) == {"a processor, 2 threads"}
    (note,) = [note for note in table.notes if "machines" in note]
    assert note.startswith("Seconds and memory of training were measured on different machines")
    assert note.endswith(": gan · decode on a GPU, 4 threads; vae · decode on a processor, 2 threads") or note.endswith(
        ": vae · decode on a processor, 2 threads; gan · decode on a GPU, 4 threads"
    )


def test_on_one_machine_nothing_is_said_of_it(records: Records) -> None:
    (table,) = build([records("vae", "decode"), records("gan", "decode")])
    assert "machine" not in str(table.notes)


@pytest.fixture
def limited(records: Records) -> list[Record]:
    """Three models of one regime, the best of which breaks it."""
    asked = {"regimes": {"equal-calls": None}}
    return [
        records("ddpm", "ddim", score=0.2, sampling__calls_per_sample=50.0, **asked),
        records("vae", "decode", score=2.0, **asked),
        records("gan", "decode", score=1.0, **asked),
    ]


def test_a_row_that_breaks_the_regime_is_listed_last_unranked_with_the_reason(limited: list[Record]) -> None:
    (table,) = build(limited)
    assert [(row.model, row.role) for row in table.rows] == [("gan", "model"), ("vae", "model"), ("ddpm", "unranked")]
    assert table.rows[-1].broken == WHY
    assert table.rows[0].cells["fd_debiased"].best and not table.rows[-1].cells["fd_debiased"].best
    assert "regime equal-calls" in table.facts


def test_the_reason_stands_in_the_text_and_in_the_markdown(limited: list[Record]) -> None:
    tables = build(limited)
    assert (
        "ddpm · ddim is not ranked: 50 calls a sample, 4,900.0 % over the table's median 1: equal-calls allows 5 %"
        in flat(to_text(tables))
    )
    row = next(line for line in to_markdown(tables).splitlines() if line.startswith("| ddpm"))
    assert row.startswith(f"| ddpm (not ranked: {WHY}) | ddim |") and "0.20" in row


def test_an_unranked_row_beats_nobody_in_words_and_in_charts(limited: list[Record]) -> None:
    (table,) = build(limited)
    assert "gan · decode beats vae · decode." in flat(to_text([table]))
    assert all(row.model != "ddpm" for row in table.models)


def test_without_a_regime_nothing_is_checked(records: Records) -> None:
    (table,) = build([records("ddpm", "ddim", sampling__calls_per_sample=50.0), records("vae", "decode")])
    assert len(table.models) == 2


def test_what_the_suite_says_is_what_counts(records: Records) -> None:
    asked = {"regimes": {"equal-calls": 50.0}}
    (table,) = build([records("ddpm", "ddim", sampling__calls_per_sample=50.0, **asked), records("vae", "a", **asked)])
    assert {row.model: row.role for row in table.rows} == {"ddpm": "model", "vae": "unranked"}
    assert "the suite's 50" in table.rows[-1].broken and "regime equal-calls at 50" in table.facts
