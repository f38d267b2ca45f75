"""A suite of conditional models, guidance and references that are trained first."""

from pathlib import Path

import pytest
from small import names

from genzoo.benchmark import Results, bench
from genzoo.benchmark.table import build
from genzoo.errors import GenZooError
from genzoo.summary import summary

pytestmark = pytest.mark.xdist_group("bench-guided")  # the suite is run once

JUDGE = "{model: noisy-classifier, set: {width: 8}, budget: 2steps}"
SUITE = f"""
name: guided
budget: 4steps
batch_size: 16
tables:
  - data: digits
    num_samples: 60
    references: false
    runs:
      - model: ddpm
        set: {{width: 8, conditional: true}}
        samplers:
          - {{sampler: ddim, set: {{num_steps: 3}}}}
          - {{sampler: ddim, set: {{num_steps: 3}}, guidance: 2}}
          - {{sampler: ddim, set: {{num_steps: 3}}, guidance: 2, classifier: {JUDGE}}}
  - data: moons
    num_samples: 60
    references: false
    runs:
      - model: ebm
        set: {{width: 8}}
        trainer: noise-contrastive
        trainer_set: {{reference: {{model: gaussian, budget: 1steps}}}}
        samplers: [{{sampler: langevin, set: {{num_steps: 2}}}}]
"""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "guided.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def results(suite: Path) -> Results:
    return bench(suite, suite.parent / "out", progress=False)


def test_every_row_is_finished_and_says_how_it_was_guided(results: Results) -> None:
    assert [record.reason for record in results.records] == [None] * 4
    table = next(table for table in build(results.records) if table.name == "digits")
    labels = {row.label for row in table.models}
    shared = "ddpm · ddim num_steps=3"
    assert {shared, f"{shared} guidance=2", f"{shared} guidance=2 classifier=noisy-classifier"} <= labels
    assert any(column.key == "class_accuracy" for column in table.columns)


def test_guided_calls_stand_beside_the_others(results: Results) -> None:
    assert [record.sampling.calls_per_sample for record in results.records[:3]] == [3, 6, 6]  # type: ignore[union-attr]


def test_what_came_first_has_folders_of_its_own_and_is_told(results: Results, suite: Path) -> None:
    kinds = sorted(name.rsplit("-", 1)[0] for name in names(suite.parent / "out") if "." not in name)
    assert kinds == ["ddpm-digits", "ebm-moons", "gaussian-moons", "noisy-classifier-digits"]
    assert "reference: gaussian (gaussian-moons-" in summary(results.records[3])
    assert "classifier: noisy-classifier (noisy-classifier-digits-" in summary(results.records[2])


def test_what_is_finished_is_not_done_again(results: Results, suite: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (suite.parent / "out").rglob("*.safetensors")}
    again = bench(suite, suite.parent / "out", progress=False)
    assert [record.id for record in again.records] == [record.id for record in results.records]
    assert {path: path.stat().st_mtime_ns for path in (suite.parent / "out").rglob("*.safetensors")} == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("conditional: true", "conditional: false", "ddpm was trained without labels, guidance=2 has nothing to"),
        ("guidance: 2}", "guidance: -2}", "tables.0.runs.0.samplers.1.guidance = -2"),
        ("guidance: 2}", "guidanse: 2}", "unknown key 'tables.0.runs.0.samplers.1.guidanse'; did you mean 'guidance'?"),
        ("budget: 1steps", "bugdet: 1steps", "unknown key 'bugdet'; did you mean 'budget'?"),
        ("model: noisy-classifier", "model: vae", "vae offers LowerBound"),
        (JUDGE, "run:nowhere", "nowhere is not a run"),
    ],
)
def test_a_wrong_suite_is_refused_before_any_work(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in SUITE
    (tmp_path / "wrong.yaml").write_text(SUITE.replace(old, new))
    with pytest.raises(GenZooError) as caught:
        bench(tmp_path / "wrong.yaml", tmp_path / "out", progress=False)
    assert told in str(caught.value) and caught.value.status == 2 and "\n" not in str(caught.value)
    assert names(tmp_path) == ["wrong.yaml"]
