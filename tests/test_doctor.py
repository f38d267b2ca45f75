"""The known answers come out right, a broken metric is noticed, and what is wrong is printed."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from offline import no_network
from torch import Tensor

from genzoo import doctor
from genzoo.cli import main
from genzoo.doctor import machine, text
from genzoo.doctor.cases import CASES, Digits
from genzoo.doctor.claims import CLAIMS, Direction, claim
from genzoo.doctor.judging import Row, judge
from genzoo.evaluation.parts import Metric, measured

__all__ = ["no_network"]


Found = dict[str, dict[str, Metric]]


@pytest.fixture(scope="module")
def measure() -> Callable[..., dict[str, Metric]]:
    """``evaluate_images``, which measures every case but once."""
    kept: dict[bytes, dict[str, Metric]] = {}
    original = doctor.evaluate_images

    def evaluate_images(images: Tensor, *others: Any, **named: Any) -> dict[str, Metric]:
        key = images.numpy().tobytes()
        if key not in kept:
            kept[key] = original(images, *others, **named)
        return dict(kept[key])

    return evaluate_images


@pytest.fixture
def wrong(measure: Callable[..., dict[str, Metric]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """The metrics that the doctor finds wrong after something was done to what was measured."""

    def found_wrong(tamper: Callable[[dict[str, Metric]], dict[str, Metric]]) -> set[str]:
        monkeypatch.setattr(doctor, "evaluate_images", lambda *a, **k: tamper(measure(*a, **k)))
        return {row.metric for row in doctor.examine() if row.verdict is False}

    return found_wrong


@pytest.fixture(scope="module")
def names(measure: Callable[..., dict[str, Metric]]) -> list[str]:
    """What every metric is called."""
    digits = Digits.load(50)
    images = CASES["perfect"](digits)
    return list(doctor.evaluate_images(images, digits.test, train=digits.train))


# Known answers


def test_every_metric_moves_the_right_way(wrong: Callable[..., set[str]]) -> None:
    assert wrong(lambda metrics: metrics) == set()


def test_every_metric_is_claimed_to_move_somewhere_and_to_stay_somewhere(names: list[str]) -> None:
    claimed = [(name, each.direction) for case in CLAIMS for name in names if (each := claim(case, name))]
    assert {name for name, direction in claimed if direction is not Direction.LEVEL} == set(names)
    assert {name for name, direction in claimed if direction is Direction.LEVEL} >= set(names) - {
        "fd_train", "fd_gap", "nearest_train_z",
    }  # fmt: skip


def test_one_metric_has_one_claim_in_a_case() -> None:
    for case, claims in CLAIMS.items():
        claimed = [name for each in claims for name in each.metrics]
        assert len(claimed) == len(set(claimed)), case
        assert case in CASES


def test_cases_are_what_they_say() -> None:
    digits = Digits.load()
    sets = {name: case(digits) for name, case in CASES.items()}
    assert {(images.dtype, tuple(images.shape)) for images in sets.values()} == {(torch.uint8, (400, 8, 8, 1))}
    rows = {name: set(map(bytes, images.flatten(1).numpy())) for name, images in sets.items()}
    train = set(map(bytes, digits.train.flatten(1).numpy()))
    assert rows["copies"] == train
    assert all(rows[name].isdisjoint(train) for name in rows if name != "copies")
    assert len(rows["collapsed"]) == 3
    assert (sets["near copies"].int() - digits.train.int()).abs().max() == 8
    assert torch.equal(sets["permuted"].sort(0).values, sets["perfect"].sort(0).values)
    assert not torch.equal(sets["permuted"], sets["perfect"])


# Broken metrics


def test_a_metric_that_never_moves_is_noticed(names: list[str], wrong: Callable[..., set[str]]) -> None:
    for name in names:
        assert name in wrong(lambda found, name=name: found | {name: found[name].model_copy(update={"value": 0.5})})


def test_a_metric_that_moves_the_wrong_way_is_noticed(names: list[str], wrong: Callable[..., set[str]]) -> None:
    def negated(metric: Metric) -> Metric:
        return metric.model_copy(update={"value": -metric.value, "expected": None})

    for name in names:
        assert name in wrong(lambda found, name=name: found | {name: negated(found[name])})


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("precision", "recall"),
        ("recall", "precision"),
        ("coverage", "density"),
        ("density", "coverage"),
        ("fd_train", "fd"),
        ("copy_rate", "exact_duplicates"),
    ],
)
def test_a_metric_that_is_another_is_noticed(name: str, other: str, wrong: Callable[..., set[str]]) -> None:
    assert name in wrong(lambda found: found | {name: found[other]})


def test_a_metric_that_is_missing_or_failed_is_noticed(wrong: Callable[..., set[str]]) -> None:
    assert wrong(lambda found: {name: metric for name, metric in found.items() if name != "recall"}) == {"recall"}
    failed = Metric(value=None, better="lower", how="", status="failed", reason="no eigenvalues")
    assert wrong(lambda found: found | {"kid": failed}) == {"kid"}


def test_extracted_features_that_ignore_the_image_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = doctor.load_extractor("cnn8")
    monkeypatch.setattr(loaded.network.source, "features", lambda images: images.float().flatten(1)[:, :16] * 0 + 1)
    monkeypatch.setattr(doctor, "load_extractor", lambda name: loaded)
    wrong = {row.metric for row in doctor.examine(100) if row.verdict is False}
    assert {"fd", "kid", "precision", "recall", "coverage", "vendi", "class_distance", "sliced_w2"} <= wrong


@pytest.mark.parametrize(
    ("value", "direction"), [(0.5, "level"), (0.62, "level"), (0.38, "level"), (0.7, "better"), (0.3, "worse")]
)
def test_three_standard_errors_are_no_chance(value: float, direction: str) -> None:
    """Of the difference: 3 sqrt(0.03^2 + 0.03^2) = 0.127."""
    perfect, found = (measured(x, "higher", "", se=0.03) for x in (0.5, value))
    claimed = {"copies": Direction.LEVEL, "dropped": Direction.WORSE, "noise": Direction.BETTER}
    names = {Direction.LEVEL: "vendi", Direction.WORSE: "vendi", Direction.BETTER: "auth_pct"}
    for case, expected in claimed.items():
        name = names[expected]
        (row,) = (row for row in judge(case, {name: found}, {name: perfect}, 100) if row.metric == name)
        assert row.expected is expected
        assert row.verdict is (expected == direction)


# What is printed


def rows() -> list[Row]:
    """Of two cases, one wrong."""
    good = Row("perfect", "exact_duplicates", -24.51, -24.0, 1.0, Direction.LEVEL, True, "")
    bad = Row("near copies", "recall", 0.95, 0.94, 0.02, Direction.WORSE, False, "half is missing")
    silent = Row("collapsed", "recall", 0.31, 0.94, 0.02, None, None, "")
    return [good, bad, silent]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """The doctor finds what it is told to find."""

    def set_state(well: bool) -> None:
        seen = [row for row in rows() if well is False or row.verdict is not False]
        monkeypatch.setattr(doctor, "examine", lambda: seen)
        monkeypatch.setattr(doctor, "findings", lambda: [machine.Finding("cache", True, "here")])

    return set_state


def test_what_is_wrong_is_marked_and_explained(
    patient: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    patient(False)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^exact_duplicates +-24.5 = +- +-$", printed, re.MULTILINE)
    assert re.search(r"^recall +- +0.95 ✗ +0.31$", printed, re.MULTILINE)
    assert "✗ recall, near copies: 0.95 beside 0.94 ± 0.02 is not worse: half is missing" in printed
    assert "wrong: 1 of 3 answers" in printed


def test_all_well_is_status_0(patient: Callable[[bool], None], capsys: pytest.CaptureFixture[str]) -> None:
    patient(True)
    assert main(["doctor"]) == 0
    assert "2 answers, all right" in capsys.readouterr().out


def test_for_programs(patient: Callable[[bool], None], capsys: pytest.CaptureFixture[str]) -> None:
    patient(False)
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert found["rows"][1]["expected"] == "worse" and found["rows"][1]["verdict"] is False
    assert found["findings"] == [{"check": "cache", "ok": True, "detail": "here"}]


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits(width: int, measure: Callable[..., dict[str, Metric]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "evaluate_images", measure)
    monkeypatch.setattr(text, "WIDTH", width)
    printed = text.to_text(doctor.examine(), [machine.Finding("cache", True, "here")], 1.0)
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed
