"""The record: round trip, identity, what is refused, what may stand in one column."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genzoo.errors import RunError
from genzoo.evaluation.comparability import comparable
from genzoo.evaluation.parts import measured
from genzoo.evaluation.record import Content, Record, read_record, seal, write_record

CONTENT: dict[str, Any] = {
    "status": "ok",
    "role": "model",
    "code": {"version": "0.1.0", "git": None},
    "environment": {
        "python": "3.11.2", "torch": "2.14.1", "diffusers": None, "cpu": "a processor", "gpu": None, "threads": 2,
        "precision": "float32",
    },
    "model": {
        "name": "realnvp", "plugin": "flow", "plugin_version": "0.1.0", "options": {"width": 48, "levels": None},
        "parameters": {"generator": 10, "total": 10, "training": 12}, "checkpoint": "ab" * 32, "seed": 0,
    },
    "training": {
        "trainer": "maximum-likelihood", "options": {"lr": 1e-3}, "budget": "60s", "batch_size": 64, "images_seen": 640,
        "steps": 10, "seconds": 60, "flops": None, "peak_memory_mb": 100.5, "precision": "float32",
    },
    "data": {"name": "digits", "fingerprint": "d1", "split": "test", "n": 500, "shape": [1, 8, 8], "levels": 17},
    "sampling": {
        "sampler": "decode", "options": {}, "n": 500, "seed": 0, "calls_per_sample": 1.0, "seconds": 0.5,
        "num_not_finite": 0, "sha256": "cd" * 32,
    },
    "extractor": {"name": "cnn8", "hash": "1a2b", "literature_comparable": False},
    "metrics": {"fd": measured(1.5, "lower", "how", se=0.1, interval=(1.3, 1.7))},
    "likelihood": [
        {"value": 3.4, "unit": "bits/dim", "kind": "exact", "se": 0.02, "n": 256, "calls": 1, "reason": None},
        {"value": 3.5, "unit": "bits/dim", "kind": "lower bound (variational)", "se": None, "n": 256},
    ],
    "warnings": ["low_n: 500 samples a side"],
}  # fmt: skip


def record(**changes: Any) -> Record:
    return seal(Content.model_validate({**CONTENT, **changes}))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_record(path, record())
    assert read_record(path) == record()
    assert json.loads(path.read_text())["schema"] == "genzoo.eval/1"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("part", "facts"),
    [("training", {"cpu": "a processor", "gpu": "a GPU", "threads": 4}), ("data", {"preprocessing": "centre crop"})],
)
def test_what_older_records_do_not_say_is_kept_and_leaves_their_ids_alone(
    tmp_path: Path, part: str, facts: dict[str, Any]
) -> None:
    plain, full = record(), record(**{part: {**CONTENT[part], **facts}})
    assert not facts.keys() & plain.as_json()[part].keys() and full.as_json()[part].items() >= facts.items()
    for name, written in {"older": plain, "newer": full}.items():
        write_record(tmp_path / name, written)
        assert read_record(tmp_path / name) == written
    values = json.loads((tmp_path / "newer").read_text())
    values[part].pop(next(iter(facts)))
    (tmp_path / "newer").write_text(json.dumps(values))
    with pytest.raises(RunError, match="was changed after it was written"):
        read_record(tmp_path / "newer")


def test_a_failed_run_needs_little(tmp_path: Path) -> None:
    failed = record(
        status="failed", reason="loss is nan at step 4", training=None, sampling=None, extractor=None, metrics={},
        likelihood=[], warnings=[],
    )  # fmt: skip
    write_record(tmp_path / "record.json", failed)
    assert read_record(tmp_path / "record.json").reason == "loss is nan at step 4"


def test_as_text_it_has_a_line_for_every_number() -> None:
    text = " ".join(str(record()).split())
    assert text.startswith("realnvp on digits, 500 samples by decode: genzoo-eval/1")
    for part in ("fd 1.5 ± 0.1", "3.4 ± 0.02 exact", "3.5", "lower bound", "low_n: 500"):
        assert part in text


def test_metrics_of_a_second_extractor_stand_beside(tmp_path: Path) -> None:
    beside = {"extractor": {**CONTENT["extractor"], "name": "rand28"}, "metrics": CONTENT["metrics"]}
    written = record(beside=beside, regimes={"equal-calls": None})
    write_record(tmp_path / "record.json", written)
    assert read_record(tmp_path / "record.json").beside.extractor.name == "rand28"
    with pytest.raises(ValidationError):
        record(regimes={"equal-luck": 1.0})


def test_the_id_is_the_content() -> None:
    assert record().id == record().id
    assert len(record().id) == 64
    assert record().id != record(warnings=[]).id


@settings(max_examples=40, deadline=None)
@given(
    value=st.floats(allow_nan=True, allow_infinity=True),
    se=st.none() | st.floats(),
    options=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=3),
)
def test_any_number_and_any_text_survive_a_round_trip(
    tmp_path_factory: pytest.TempPathFactory, value: float, se: float | None, options: dict[str, Any]
) -> None:
    sampling = {**CONTENT["sampling"], "options": options}
    written = record(metrics={"fd": measured(value, "lower", "how", se=se)}, sampling=sampling)
    path = tmp_path_factory.mktemp("record") / "record.json"
    write_record(path, written)
    assert read_record(path) == written
    assert "NaN" not in path.read_text() or "NaN" in str(options)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_has_failed(value: float) -> None:
    metric = measured(value, "lower", "how", se=1.0)
    assert (metric.value, metric.status) == (None, "failed")
    assert str(value) in metric.reason
    assert measured(1.0, "lower", "how", se=math.nan, interval=(math.nan, 2)).se is None


def test_nan_is_refused_everywhere() -> None:
    with pytest.raises(ValidationError):
        record(training={**CONTENT["training"], "seconds": math.nan})
    with pytest.raises(ValueError, match="finite"):
        record(training={**CONTENT["training"], "options": {"lr": math.nan}})


def broken(**changes: Any) -> str:
    return json.dumps({**record().as_json(), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "has schema None"),
        ("\x00\xff", "cannot be read"),
        (broken(schema="genzoo.eval/2"), "has schema 'genzoo.eval/2', this version reads 'genzoo.eval/1'"),
        (broken(extra=1), "extra"),
        (broken(status="fine"), "status"),
        (broken(warnings=[]), "changed after it was written"),
        (broken(id="0" * 64), "changed after it was written"),
        (broken(reason="\ud800"), "cannot be read"),
        (broken(model={**record().as_json()["model"], "options": {"a": "\ud800"}}), "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_not_a_record_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RunError, match=message) as error:
        read_record(path)
    assert "\n" not in str(error.value)


def test_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read"):
        read_record(tmp_path / "absent.json")


def test_records_of_one_protocol_are_comparable() -> None:
    other_model = record(model={**CONTENT["model"], "name": "ddpm"}, role="model", warnings=[])
    assert comparable(record(), other_model) == []


@pytest.mark.parametrize(
    ("part", "change", "reason"),
    [
        ("data", {"fingerprint": "d2"}, "data differs: d1 and d2"),
        ("data", {"split": "train"}, "split differs"),
        ("data", {"n": 400}, "real examples differs"),
        ("data", {"levels": 256}, "quantiser differs"),
        ("sampling", {"n": 400}, "samples differs"),
        ("extractor", {"hash": "ffff"}, "extractor differs: cnn8@1a2b and cnn8@ffff"),
        ("extractor", {"name": "another"}, "extractor differs: cnn8@1a2b and another@1a2b"),
    ],
)
def test_what_keeps_two_records_apart(part: str, change: dict[str, Any], reason: str) -> None:
    found = comparable(record(), record(**{part: {**CONTENT[part], **change}}))
    assert len(found) == 1
    assert found[0].startswith(reason)


def test_protocols_keep_records_apart() -> None:
    assert comparable(record(), record(protocol="genzoo-eval/2")) == [
        "protocol differs: genzoo-eval/1 and genzoo-eval/2"
    ]
