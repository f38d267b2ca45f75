"""A suite of several seeds under regimes: what is ranked, what is told, what is refused."""

import json
from pathlib import Path

import pytest
from benching import refused, stamps

from genzoo.benchmark import bench
from genzoo.errors import InvalidConfig
from genzoo.regimes import check

pytestmark = pytest.mark.xdist_group("bench-regimes")  # the suite is run once

REGIMES = """
name: fair
budget: 2steps
batch_size: 16
seeds: [0, 1]
tables:
  - data: 8gaussians
    num_samples: 200
    references: false
    runs: [{model: ddpm, set: {width: 8}, samplers: [{sampler: ddim, set: {num_steps: 2}}]}]
"""


@pytest.fixture(scope="module")
def fair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fair") / "fair.yaml"
    path.write_text(REGIMES)
    return path


def test_seeds_are_one_row_and_every_record_says_the_regime(fair: Path) -> None:
    out = fair.parent / "out"
    plain = bench(fair, out, progress=False)
    assert "(2 seeds)" in plain.table() and all(not record.regimes for record in plain.records)
    samples = stamps(out, "samples.npz")
    asked = bench(fair, out, ["tables.0.regime=equal-calls", "tables.0.calls=2"], progress=False)
    assert all(r.regimes == {"equal-calls": 2.0} for r in asked.records)
    assert "regime equal-calls at 2" in " ".join(asked.table().split()) and "not ranked" not in asked.table()
    assert stamps(out, "samples.npz") == samples
    kept = {json.loads(path.read_text())["id"] for path in out.glob("*/samples/*/record.json")}
    assert kept == {record.id for record in asked.records}


def test_a_reference_of_the_suite_is_shown_unranked_and_need_not_keep_to_the_regime(fair: Path, tmp_path: Path) -> None:
    runs = "[{model: ddpm, set: {width: 8}, samplers: [{sampler: ddim, set: {num_steps: 2}, num_samples: 150}, ddpm]}, "
    runs += "{model: vae, set: {width: 8}, role: reference, budget: 1steps}]"
    regime = ["tables.0.regime=[equal-calls,equal-training]", "tables.0.calls=2"]
    overrides = ["seeds=[0]", f"tables.0.runs={runs}", "tables.0.references=true", *regime]
    results = bench(fair, tmp_path / "out", overrides, progress=False)
    (vae,) = [record for record in results.records if record.role == "reference"]
    assert vae.model.name == "vae" and not vae.regimes and "vae is not ranked" not in results.table()
    models = [record for record in results.records if record.role == "model"]
    assert [record.sampling.n for record in models] == [150, 200]
    assert [set(record.regimes) for record in models] == [{"equal-calls", "equal-training"}] * 2
    floors = [record.sampling.n for record in results.records if record.role == "floor"]
    assert sorted(floors) == [150, 200]  # every table has its own


def test_a_row_that_breaks_the_regime_is_told(fair: Path) -> None:
    out = fair.parent / "out"
    broken = bench(fair, out, ["tables.0.regime=equal-calls", "tables.0.calls=50"], progress=False)
    assert "ddpm · ddim num_steps=2 is not ranked: " in " ".join(broken.table().split())
    assert "not ranked" in broken.report.read_text()


def test_who_will_break_equal_parameters_is_told_before_anything_is_trained(
    fair: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = "[{model: vae, set: {width: 8}}, {model: vae, set: {width: 9}}, {model: vae, set: {width: 64}}]"
    overrides = ["seeds=[0]", f"tables.0.runs={runs}", "tables.0.regime=equal-parameters"]
    done = bench(fair, tmp_path / "out", [*overrides, "tables.0.parameters=200"])
    told = capsys.readouterr().err.splitlines()
    warned = [line for line in told if line.startswith("warning: ")]
    broken = check(done.records, "equal-parameters", 200)
    assert warned == [
        f"warning: vae width={record.model.options['width']} seed=0 · ancestral will not be ranked: {broken[record.id]}"
        for record in done.records
        if record.id in broken
    ]
    assert len(done.records) == 3 and len(warned) >= 2 and told[: len(warned)] == warned
    assert all(record.status == "ok" for record in done.records)


def test_one_run_in_two_tables_of_different_regimes_is_refused(fair: Path, tmp_path: Path) -> None:
    table = REGIMES[REGIMES.index("  - data") :]
    path = tmp_path / "two.yaml"
    path.write_text(REGIMES + table.replace("references: false", "references: false\n    regime: equal-calls"))
    told = refused(InvalidConfig, path, tmp_path / "out")
    assert told == (
        "ddpm on 8gaussians stands in two tables of different regimes (none and equal-calls): "
        "put one of them into a suite of its own"
    )
    assert not (tmp_path / "out").exists()


def test_one_run_as_a_model_and_as_a_reference_is_refused(fair: Path, tmp_path: Path) -> None:
    """Its samples have one record, which says one role."""
    row = "{model: ddpm, set: {width: 8}, samplers: [{sampler: ddim, set: {num_steps: 2}}]"
    (tmp_path / "two.yaml").write_text(REGIMES.replace(f"[{row}}}]", f"[{row}}}, {row}, role: reference}}]"))
    told = refused(InvalidConfig, tmp_path / "two.yaml", tmp_path / "out")
    assert told == (
        "ddpm on 8gaussians stands in two rows of different roles (model and reference): "
        "put one of them into a suite of its own"
    )


def test_one_reference_may_stand_in_tables_of_different_regimes(fair: Path, tmp_path: Path) -> None:
    runs = "[{model: vae, set: {width: 8}, role: reference, budget: 1steps}]"
    table = REGIMES[REGIMES.index("  - data") :]
    (tmp_path / "two.yaml").write_text(REGIMES + table)
    overrides = ["seeds=[0]", f"tables.0.runs={runs}", f"tables.1.runs={runs}", "tables.1.regime=equal-training"]
    results = bench(tmp_path / "two.yaml", tmp_path / "out", overrides, progress=False)
    assert [(record.role, record.regimes) for record in results.records] == [("reference", {})] * 2
