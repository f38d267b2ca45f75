"""Which records are seeds of one another."""

from collections.abc import Callable
from typing import Any

import pytest

from genzoo.benchmark.seeds import gather
from genzoo.benchmark.table import build
from genzoo.benchmark.text import to_text
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Seeds = Callable[..., list[Record]]
FAILED = {"status": "failed", "metrics": {}, "extractor": None, "beside": None, "training": None, "likelihood": ()}


def sizes(records: list[Record]) -> list[tuple[int, int]]:
    return sorted((len(trials.finished), len(trials.failed)) for trials in gather(records))


def test_records_that_differ_in_nothing_but_the_seed_are_one_row(seeds: Seeds) -> None:
    (table,) = build(seeds("vae", "decode", 1.0, 1.2, 1.4))
    (row,) = table.rows
    cell = row.cells["fd_debiased"]
    assert row.label == "vae · decode"
    assert cell.text == "1.2 ± 0.5 (3 seeds)"  # 4.303 * 0.2 / sqrt(3)
    assert cell.hint == "± 0.5 (95 % interval over 3 training seeds)"


def test_a_sampling_seed_of_their_own_does_not_keep_them_apart(records: Records) -> None:
    assert sizes([records("vae", "decode", model__seed=s, sampling__seed=0) for s in range(3)]) == [(3, 0)]
    assert sizes([records("vae", "decode", model__seed=s, sampling__seed=s) for s in range(3)]) == [(3, 0)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model__options", {"width": 8}),
        ("model__plugin_version", "2"),
        ("training__trainer", "another"),
        ("training__options", {"lr": 1.0}),
        ("training__budget", "60s"),
        ("training__batch_size", 8),
        ("sampling__sampler", "another"),
        ("sampling__options", {"num_steps": 3}),
        ("sampling__n", 499),
        ("extractor__hash", "ffff"),
        ("data__fingerprint", "d2"),
        ("environment__precision", "bfloat16"),
        ("code__version", "9"),
        ("regimes", {"equal-calls": None}),
    ],
)
def test_whatever_else_differs_keeps_them_apart(seeds: Seeds, records: Records, path: str, value: Any) -> None:
    one, two = seeds("vae", "decode", 1.0, 1.1)
    other = records("vae", "decode", model__seed=2, sampling__seed=2, **{path: value})
    assert sizes([one, two, other]) == [(1, 0), (2, 0)]


def test_costs_and_findings_of_its_own_do_not(seeds: Seeds, records: Records) -> None:
    own = {"training__seconds": 99.0, "sampling__seconds": 9.0, "model__checkpoint": "ef" * 32, "warnings": ["odd"]}
    other = records("vae", "decode", model__seed=1, code__git="fff", environment__cpu="another", **own)
    assert sizes([*seeds("vae", "decode", 1.0), other]) == [(2, 0)]


def test_a_seed_that_is_there_twice_is_not_counted_twice(records: Records) -> None:
    twice = [records("vae", "decode", model__seed=0, sampling__seed=seed) for seed in (0, 1)]
    assert sizes(twice) == [(1, 0), (1, 0)]
    both = [records("vae", "decode", model__seed=m, sampling__seed=s) for m in (0, 1, 2) for s in (0, 1)]
    assert sizes(both) == [(3, 0), (3, 0)]
    assert sizes([records("photos", "", model__seed=None, code__git=git) for git in "ab"]) == [(1, 0), (1, 0)]


def test_a_failed_seed_is_told_and_not_averaged(seeds: Seeds, records: Records) -> None:
    failed = records("vae", "decode", model__seed=2, **FAILED, reason="loss is nan")
    (table,) = build([*seeds("vae", "decode", 1.0, 1.2), failed])
    (row,) = table.rows
    assert row.role == "model" and row.cells["fd_debiased"].text.endswith("(2 of 3 seeds)")
    assert "vae · decode: 1 of 3 seeds failed: seed 2: loss is nan" in table.notes
    assert "seed 2: loss is nan" in to_text([table])


def test_a_row_of_one_seed_says_so_beside_rows_of_several(seeds: Seeds, records: Records) -> None:
    (table,) = build([*seeds("vae", "decode", 1.0, 1.2), records("gan", "decode", score=2.0)])
    assert [row.cells["fd_debiased"].text for row in table.rows] == ["1.1 ± 1.3 (2 seeds)", "2.0 ± 0.1 (1 seed)"]
    assert "of one seed alone, the standard error within that checkpoint" in to_text([table]).replace("\n", " ")


def test_seeds_that_all_failed_are_one_failed_row(records: Records) -> None:
    why = ["loss is nan", "loss is nan", "out of memory"]
    failed = [records("vae", "decode", model__seed=i, **FAILED, reason=reason) for i, reason in enumerate(why)]
    (table,) = build(failed)
    (row,) = table.rows
    assert (row.role, row.reason) == ("failed", "seeds 0 and 1: loss is nan; seed 2: out of memory")


def test_a_failed_run_that_could_belong_to_two_rows_stays_alone(records: Records) -> None:
    rows = [records("vae", "decode", training__trainer=trainer) for trainer in ("one", "two")]
    assert sizes([*rows, records("vae", "decode", model__seed=1, **FAILED, reason="x")]) == [(0, 1), (1, 0), (1, 0)]


def test_the_single_seeds_can_be_looked_at(seeds: Seeds, records: Records) -> None:
    (table,) = build([*seeds("vae", "decode", 1.0, 1.2), records("gan", "decode", score=2.0)])
    assert [(row.label, row.cells["fd_debiased"].value) for row in table.singles] == [
        ("vae seed=0 · decode", "1.00"),
        ("vae seed=1 · decode", "1.20"),
    ]
    assert not any(cell.best for row in table.singles for cell in row.cells.values())
