"""A record for people: nothing of it is lost, and it fits."""

import pytest
from small import family

from genzoo.assessment import evaluate
from genzoo.evaluation import Record
from genzoo.evaluation.metrics import NAMES
from genzoo.run import start
from genzoo.summary import MEANINGS, WIDTH, summary


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    run = start(family("vae", data="digits", budget="5steps"), tmp_path_factory.mktemp("runs") / "r", progress=False)
    return evaluate(run, likelihood_images=20)


def test_every_metric_has_a_line_with_its_value_and_what_it_says(record: Record) -> None:
    lines = summary(record).splitlines()
    for name, metric in record.metrics.items():
        (line,) = [line for line in lines if line.startswith(f"{name} {'↓' if metric.better == 'lower' else '↑'} ")]
        assert f"{metric.value:.4g}" in line or abs(metric.value) <= 1e-9
        assert line.endswith(MEANINGS[name]) or MEANINGS[name].split()[0] in line
        if metric.se:
            assert f"± {metric.se:.2g}" in line
        if metric.floor is not None:
            assert f" {metric.floor:.3g} " in line


def test_it_fits_and_nothing_is_cut_off(record: Record) -> None:
    text = summary(record)
    assert max(map(len, text.splitlines())) <= WIDTH and "…" not in text


def test_it_says_who_was_measured_against_what_by_whom_at_what_cost(record: Record) -> None:
    text = summary(record)
    assert text.startswith("vae against digits, test\n500 samples by decode")
    assert ", 500 real images of 1x8x8\n" in text
    assert "cnn8 ± se" in text and "by rand28" in text
    for part in (record.extractor, record.beside.extractor):
        assert f"{part.name}@{part.hash[:8]}" in text
    assert f"parameters: {record.model.parameters.generator:,} to sample" in text
    assert "training: 80 images in " in text and "sampling: 1 call" in text
    assert f"{record.likelihood[0].unit}, {record.likelihood[0].kind}, of 20 test examples" in text
    assert f"protocol genzoo-eval/1, data {record.data.fingerprint[:8]}" in text and record.id[:8] in text


def test_every_warning_is_a_note(record: Record) -> None:
    text = " ".join(summary(record).split())
    assert record.warnings and all(f"note: {warning}" in text for warning in record.warnings)


def test_a_metric_that_failed_says_why(record: Record) -> None:
    failed = record.metrics["kid"].model_copy(update={"value": None, "status": "failed", "reason": "nothing to see"})
    (line,) = [
        line
        for line in summary(record.model_copy(update={"metrics": {"kid": failed}})).splitlines()
        if line.startswith("kid")
    ]
    assert "failed" in line and "nothing to see" in line


def test_a_failed_record_says_why(record: Record) -> None:
    failed = record.model_copy(
        update={"status": "failed", "reason": "the loss is nan", "metrics": {}, "sampling": None}
    )
    assert "failed: the loss is nan" in summary(failed) and "no samples" in summary(failed)


def test_of_samples_from_elsewhere_no_cost_is_told() -> None:
    text = summary(evaluate("digits:test", data="digits", num_samples=50, beside="none"))
    assert "training:" not in text and "sampling:" not in text and "50 samples, 50 real images" in text


def test_every_metric_has_its_meaning() -> None:
    assert set(NAMES) <= set(MEANINGS)
