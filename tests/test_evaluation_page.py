"""The protocol's page names everything that the code computes, and nothing that it does not."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from genzoo.doctor.machine import WEIGHTS
from genzoo.evaluation.metrics import NAMES
from genzoo.evaluation.pairs import K_CLOSED, K_STRICT
from genzoo.evaluation.parts import Likelihood, Metric
from genzoo.evaluation.record import PROTOCOL, SCHEMA, Content
from genzoo.regimes import TOLERANCE

PAGE = (Path(__file__).parent.parent / "docs" / "evaluation.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("|")]
FIRST_CELLS = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_of_images_has_a_row(name: str) -> None:
    assert name in FIRST_CELLS


def test_the_metrics_of_points_have_rows() -> None:
    from genzoo.data import load
    from genzoo.evaluation import evaluate_points

    data = load("8gaussians")
    assert set(evaluate_points(data.test.x()[:500], data.density)) <= FIRST_CELLS


def test_hashes_are_those_of_the_weights() -> None:
    for name, sha256 in WEIGHTS.items():
        assert any(f"`{name}`" in row and f"`{sha256[:8]}…`" in row for row in ROWS), name


@pytest.mark.parametrize("part", [Content, Metric, Likelihood])
def test_every_part_of_a_record_is_named(part: type[BaseModel]) -> None:
    section = PAGE.partition("## The record")[2].partition("## Known answers")[0]
    for name, field in part.model_fields.items():
        assert (field.alias or name) in section, name


def test_rules_and_versions_are_those_of_the_code() -> None:
    assert f"`{PROTOCOL}`" in PAGE and f"`schema: {SCHEMA}`" in PAGE
    assert f"B_{K_STRICT}(y)" in PAGE and f"`precision_k{K_CLOSED}`" in PAGE
    assert f"within {TOLERANCE:.0%}".replace("%", " %") in PAGE


def test_every_proof_is_there() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) > 30
    assert [name for name in named if f"def {name}(" not in sources] == []
