"""A dry run: two steps of everything, parameters beside the paper's, and nothing measured."""

import json

import pytest

from genzoo.benchmark import DryRun, bench, dry
from genzoo.benchmark.store import DRY_RUN, check_output
from genzoo.data import load
from genzoo.errors import DataUnavailable

SUITE = """
name: tiny
dry_run: true
budget: 10m
tables:
  - data: 8gaussians
    runs:
      - {model: vae, set: {width: 8}, paper: {title: A paper, parameters: 2k}}
      - {model: realnvp, set: {width: 8, couplings: 2}, trainer_set: {lr: 1e30}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> DryRun:
    folder = tmp_path_factory.mktemp("dry")
    (folder / "tiny.yaml").write_text(SUITE)
    run = bench(folder / "tiny.yaml", folder / "out", progress=False)
    assert isinstance(run, DryRun)
    return run


def test_it_says_how_large_everything_is_beside_the_paper(done: DryRun) -> None:
    vae = done.sizes[0]
    assert vae.paper == 2000 and vae.total is not None and vae.sampling is not None
    assert 0 < vae.sampling < vae.total == vae.training
    assert f"{vae.total / 2000:.2f}" in done.table() and vae.flops_per_example > 0


def test_what_fails_is_a_row_with_its_reason_and_stops_nobody(done: DryRun) -> None:
    assert done.failed == 1 and "nan" in done.sizes[1].reason
    assert "failed: realnvp on 8gaussians" in done.table()


def test_nothing_but_one_file_is_written(done: DryRun) -> None:
    assert [path.name for path in done.report.parent.iterdir()] == [DRY_RUN]
    assert [size["model"] for size in json.loads(done.report.read_text())["sizes"]] == ["vae", "realnvp"]


def test_it_can_be_run_again_and_is_in_nobody_s_way(done: DryRun) -> None:
    out, suite = done.report.parent, done.report.parent.parent / "tiny.yaml"
    again = bench(suite, out, only="vae", progress=False)
    assert isinstance(again, DryRun) and again.failed == 0 and len(again.sizes) == 1
    check_output(out)  # a real run may follow


def test_generated_pictures_stand_in_for_a_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *, size: int | None) -> object:
        if name != dry.STAND_IN:
            raise DataUnavailable("the hub cannot be reached")
        return load("digits")

    told: list[str] = []
    monkeypatch.setattr(dry, "load", refuse)
    assert dry._data("hub:some/thing", None, told.append).name == "digits"
    assert told == [f"note: {dry.STAND_IN} stand in for hub:some/thing: the hub cannot be reached"]
