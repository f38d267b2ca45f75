"""What columns read from records, and how they print it."""

from collections.abc import Callable

import pytest

from genzoo.benchmark.catalogue import columns
from genzoo.benchmark.cells import NONE
from genzoo.benchmark.columns import duration, fixed, megabytes, percent, share, thousands, whole
from genzoo.benchmark.table import Table, build
from genzoo.evaluation.intervals import failed
from genzoo.evaluation.parts import Likelihood, measured
from genzoo.evaluation.record import Record

Records = Callable[..., Record]


@pytest.fixture
def table(records: Records) -> Table:
    return build([records("vae", "decode"), records("gan", "decode", score=2.0)])[0]


def test_columns_are_grouped_and_the_headline_s_group_is_first(table: Table) -> None:
    keys = {name: [column.key for column in group] for name, group in table.groups.items()}
    assert keys["Fidelity and diversity"][:3] == ["fd_debiased", "beside_fd_debiased", "kid"]
    assert {"vendi", "class_distance", "likelihood", "calls"} & set(keys["Fidelity and diversity"]) == {
        *("vendi", "class_distance", "calls"),
    }
    assert keys["Memorisation"] == ["fd_train", "fd_gap", "auth_pct", "copy_rate", "exact_duplicates"]
    assert keys["By other tools' rules"] == ["fd", "precision_k3"]
    assert {"calls", "flops_per_sample", "training_flops", "training_memory", "sampling_memory"} <= set(keys["Cost"])


def test_costs_are_printed_in_their_units(table: Table) -> None:
    cells = {key: cell.text for key, cell in table.rows[0].cells.items()}
    assert cells["training_flops"] == "3T" and cells["flops_per_sample"] == "2M"
    assert (cells["training_memory"], cells["sampling_memory"]) == ("800 MB", "350 MB")
    assert (cells["parameters"], cells["training_parameters"]) == ("184k", "240k")


def test_a_second_extractor_stands_beside_the_first_and_is_ranked_only_with_itself(records: Records) -> None:
    (table,) = build([records("vae", "decode"), records("gan", "decode", score=3.0)])
    cells = [row.cells["beside_fd_debiased"] for row in table.rows]
    assert [cell.value for cell in cells] == ["2.0", "6.0"] and [cell.best for cell in cells] == [True, False]
    assert "rand28@99ee88dd" in cells[0].hint
    other = records("gan", "decode", score=3.0, beside__extractor={**cells_extractor(), "hash": "00" * 32})
    (apart,) = build([records("vae", "decode"), other])
    assert not any(row.cells["beside_fd_debiased"].best for row in apart.rows)


def cells_extractor() -> dict[str, object]:
    return {"name": "rand28", "hash": "99ee88dd7766", "literature_comparable": False}


def test_a_wilson_interval_gives_precision_an_error(table: Table) -> None:
    assert table.rows[0].cells["precision"].reading.se == pytest.approx(0.04 / 3.92, rel=1e-4)


@pytest.mark.parametrize("t", [1.96, 2.093, 3.182])
def test_error_bars_and_leads_rest_on_the_interval_of_the_record(records: Records, t: float) -> None:
    """The column may show a thousandfold of the metric: its interval grows with it."""
    kid = measured(0.01, "lower", "made up", se=0.001, interval=(0.01 - t * 0.001, 0.01 + t * 0.001))
    (table,) = build([records("vae", "decode", metrics={**records("vae", "decode").metrics, "kid": kid})])
    assert table.rows[0].cells["kid"].reading.half_width == pytest.approx(1000 * t * 0.001, rel=3e-4)


def test_training_images_in_place_of_samples_have_no_memorisation(records: Records) -> None:
    (table,) = build([records("train-vs-test", "", role="ceiling"), records("vae", "decode")])
    ceiling, model = (row.cells for row in table.rows)
    for column in table.groups["Memorisation"]:
        assert ceiling[column.key].text == NONE and model[column.key].text != NONE, column.key
        assert "its samples are training images" in ceiling[column.key].hint
    assert table.notes[0] == "train-vs-test: memorisation is not measured, its samples are training images"
    (alone,) = build([records("vae", "decode")])
    assert not any("memorisation" in note for note in alone.notes)


def test_memorisation_ranks_nobody(table: Table) -> None:
    assert all(column.better is None for column in table.groups["Memorisation"])


def test_a_plugin_s_metric_has_a_column_under_its_own_name(records: Records) -> None:
    sharp = {"sharpness": measured(0.8, "higher", "mean gradient", se=0.01)}
    ours = records("vae", "decode")
    (table,) = build([records("vae", "decode", metrics={**ours.metrics, **sharp}), records("gan", "decode")])
    (column,) = [column for column in table.columns if column.key == "sharpness"]
    assert (column.title, column.better, column.help) == ("sharpness", "higher", "mean gradient")
    assert {row.model: row.cells["sharpness"].text for row in table.rows} == {"vae": "0.80 ± 0.01", "gan": NONE}


def test_a_plugin_s_metric_that_failed_does_not_turn_its_column_round(records: Records) -> None:
    ours = records("vae", "decode").metrics
    good, bad = measured(0.8, "higher", "mean gradient", se=0.01), failed("lower", "a plugin's metric", "it raised")
    rows = [records("vae", "decode", metrics={**ours, "m": good}), records("gan", "decode", metrics={**ours, "m": bad})]
    for order in (rows, rows[::-1]):
        (column,) = [column for column in columns(order) if column.key == "m"]
        assert (column.better, column.help) == ("higher", "mean gradient")


def test_kl_is_of_the_kind_of_its_likelihood(records: Records) -> None:
    def of(name: str, kind: str) -> Record:
        base = records(name, "decode", "8gaussians")
        bound = Likelihood(value=1.0, unit="nats", kind=kind)
        kl = measured(0.2, "lower", "made up", se=0.01)
        return records(name, "decode", "8gaussians", metrics={**base.metrics, "kl": kl}, likelihood=(bound,))

    (table,) = build([of("flow", "exact"), of("vae", "lower bound")])
    assert {row.model: row.cells["kl"].text for row in table.rows} == {"flow": "0.20 ± 0.01", "vae": "≤ 0.20 ± 0.01"}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (fixed(1234.5, 1), "1,234.5"),
        (share(0.912, 0), "0.91"),
        (share(0.0031, 3), "0.003"),
        (percent(0.912, 0), "91.2 %"),
        (whole(8.0, 2), "8"),
        (whole(23 / 3, 2), "7.7"),
        (thousands(1_234_567), "1.23M"),
        (thousands(3e12), "3T"),
        (thousands(2.5e15), "2.5P"),
        (duration(0.075), "75 ms"),
        (duration(250), "4.2 min"),
        (megabytes(1234.6), "1,235 MB"),
    ],
)
def test_numbers_are_written_as_people_read_them(written: str, text: str) -> None:
    assert written == text
