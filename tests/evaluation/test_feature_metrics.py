"""The table of feature metrics: names, errors, what theory expects."""

import math

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.metrics import expected_coverage, feature_metrics, size_warnings, wilson


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_every_metric_is_there_with_its_rule_and_sizes() -> None:
    metrics = feature_metrics(normal(60, 4, 0), normal(60, 4, 1))
    assert list(metrics) == [
        "fd", "fd_debiased", "kid", "precision", "recall", "density", "coverage", "precision_k3", "recall_k3",
    ]  # fmt: skip
    assert all(metric.status == "ok" for metric in metrics.values())
    assert metrics["fd"].how.startswith("60 generated against 60 real")
    assert {metrics[name].better for name in ("fd", "fd_debiased", "kid")} == {"lower"}
    assert "strict <" in metrics["precision"].how
    assert "<=" in metrics["precision_k3"].how


def test_intervals_hold_their_values() -> None:
    for name, metric in feature_metrics(normal(80, 3, 0) + 0.3, normal(80, 3, 1)).items():
        if metric.interval is not None:
            low, high = metric.interval
            assert low <= metric.value <= high, name


@pytest.mark.parametrize(("inside", "n"), [(0, 10), (3, 10), (10, 10), (481, 500)])
def test_wilson_interval(inside: int, n: int) -> None:
    truth = binomtest(inside, n).proportion_ci(0.95, method="wilson")
    assert wilson(inside / n, n) == pytest.approx((truth.low, truth.high), abs=1e-4)


def test_coverage_law() -> None:
    """0.969 for equal sizes, whatever the distribution; 0.38 for 3,000 real and 300 generated."""
    assert expected_coverage(10_000, 10_000) == pytest.approx(0.969, abs=5e-4)
    assert expected_coverage(3000, 300) == pytest.approx(0.38, abs=5e-3)
    values = [feature_metrics(normal(150, 3, i), normal(150, 3, 900 + i))["coverage"] for i in range(20)]
    mean = sum(v.value for v in values) / 20
    assert values[0].expected == expected_coverage(150, 150)
    assert mean == pytest.approx(expected_coverage(150, 150), abs=4 * 0.02 / math.sqrt(20))


def test_the_density_of_a_perfect_model_is_one() -> None:
    metrics = [feature_metrics(normal(150, 3, i), normal(150, 3, 900 + i))["density"] for i in range(20)]
    mean = sum(m.value for m in metrics) / 20
    assert mean == pytest.approx(metrics[0].expected, abs=4 * 0.06 / math.sqrt(20))


def test_order_and_threads_change_nothing() -> None:
    fake, real = normal(120, 6, 0), normal(120, 6, 1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = feature_metrics(fake, real)
        torch.set_num_threads(2)
        two = feature_metrics(fake, real)
    finally:
        torch.set_num_threads(threads)
    shuffled = feature_metrics(fake.flip(0), real)
    for name in one:
        assert two[name].value == pytest.approx(one[name].value, rel=1e-9)
        if name != "fd_debiased":  # whose halves go by row number
            assert shuffled[name].value == pytest.approx(one[name].value, rel=1e-9)


def test_five_rows_are_too_few() -> None:
    with pytest.raises(InvalidSamples, match="5 rows"):
        feature_metrics(normal(5, 2, 0), normal(50, 2, 1))
    assert feature_metrics(normal(6, 2, 0), normal(6, 2, 1))["precision"].status == "ok"


def test_small_sets_are_flagged() -> None:
    assert size_warnings(500)[0].startswith("low_n: 500")
    assert size_warnings(10_000) == []
