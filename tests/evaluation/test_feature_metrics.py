"""The table of feature metrics: names, errors, floors, what theory expects, what fails."""

import math

import pytest
import torch
from feature_sets import measure, normal, seen
from scipy.stats import binomtest
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.frechet import fd_debiased
from genzoo.evaluation.intervals import wilson
from genzoo.evaluation.metrics import NAMES, feature_metrics, size_warnings
from genzoo.evaluation.neighbours import expected_coverage
from genzoo.evaluation.pairs import pair_statistics
from genzoo.evaluation.parts import Metric
from genzoo.protocols import Comparison, ImageSet

NEED_CLASSES = {"class_distance", "class_accuracy"}
NEED_TRAIN = {"fd_train", "fd_gap", "auth_pct", "copy_rate", "nearest_train_z", "exact_duplicates"}


def test_every_metric_is_there_with_its_rule_and_sizes() -> None:
    metrics = measure(normal(60, 4, 0), normal(60, 4, 1), normal(200, 4, 2))
    assert tuple(metrics) == NAMES
    assert all(metric.status == "ok" for metric in metrics.values())
    assert metrics["fd"].how.startswith("60 generated against 60 real")
    assert {name for name, metric in metrics.items() if metric.better == "lower"} == {
        "fd", "fd_debiased", "fd_train", "fd_gap", "kid", "copy_rate", "exact_duplicates", "class_distance",
        "sliced_w2",
    }  # fmt: skip
    assert "strict <" in metrics["precision"].how
    assert "<=" in metrics["precision_k3"].how


def test_without_training_images_nothing_is_said_of_copies() -> None:
    metrics = measure(normal(60, 4, 0), normal(60, 4, 1))
    assert set(NAMES) - set(metrics) == NEED_TRAIN
    assert all(metric.floor is None for metric in metrics.values())


def test_without_a_classifier_no_classes_are_compared() -> None:
    fake, real = (ImageSet(s.images, s.features) for s in (seen(normal(60, 4, 0)), seen(normal(60, 4, 1))))
    assert set(NAMES) - set(feature_metrics(Comparison(fake, real))) == {*NEED_TRAIN, *NEED_CLASSES}


def test_without_labels_nothing_is_said_of_following_them() -> None:
    fake, real = (ImageSet(s.images, s.features, s.logits) for s in (seen(normal(60, 4, 0)), seen(normal(60, 4, 1))))
    assert set(NAMES) - set(feature_metrics(Comparison(fake, real))) == {*NEED_TRAIN, "class_accuracy"}


def test_intervals_hold_their_values() -> None:
    for name, metric in measure(normal(80, 3, 0) + 0.3, normal(80, 3, 1), normal(200, 3, 2)).items():
        if metric.interval is not None:
            low, high = metric.interval
            assert low <= metric.value <= high, name


@pytest.mark.parametrize(("inside", "n"), [(0, 10), (3, 10), (10, 10), (481, 500)])
def test_wilson_interval(inside: int, n: int) -> None:
    truth = binomtest(inside, n).proportion_ci(0.95, method="wilson")
    assert wilson(inside / n, n) == pytest.approx((truth.low, truth.high), abs=1e-4)


@pytest.fixture(scope="module")
def perfect() -> list[dict[str, Metric]]:
    return [measure(normal(150, 3, i), normal(150, 3, 900 + i), normal(300, 3, 1800 + i)) for i in range(25)]


class TestExpected:
    """What a perfect model scores on average."""

    @pytest.mark.parametrize(
        "name",
        ["fd_debiased", "fd_gap", "kid", "density", "coverage", "copy_rate", "nearest_train_z", "class_distance"],
    )
    def test_it_is_the_mean_over_perfect_models(self, perfect: list[dict[str, Metric]], name: str) -> None:
        found = torch.tensor([metrics[name].value for metrics in perfect], dtype=torch.float64)
        expected = sum(metrics[name].expected for metrics in perfect) / len(perfect)
        assert found.mean().item() == pytest.approx(expected, abs=4 * found.std().item() / math.sqrt(len(perfect)))

    @pytest.mark.parametrize("name", ["fd", "fd_train", "precision", "recall", "precision_k3", "vendi", "sliced_w2"])
    def test_where_nothing_is_known_the_floor_tells(self, perfect: list[dict[str, Metric]], name: str) -> None:
        found, floors = (
            torch.tensor([getattr(metrics[name], part) for metrics in perfect], dtype=torch.float64)
            for part in ("value", "floor")
        )
        difference = found - floors
        assert abs(difference.mean()) < 4 * difference.std() / math.sqrt(len(perfect))

    def test_coverage_depends_on_the_sizes_alone(self) -> None:
        """0.969 for equal sizes, whatever the distribution; 0.38 for 3,000 real and 300 generated."""
        assert expected_coverage(10_000, 10_000) == pytest.approx(0.969, abs=5e-4)
        assert expected_coverage(3000, 300) == pytest.approx(0.38, abs=5e-3)


def test_each_name_holds_its_own_share() -> None:
    """Fakes too narrow and shifted: no two of the shares agree."""
    fake, real = 0.7 * normal(300, 4, 0) + 0.4, normal(300, 4, 1)
    metrics, pairs = measure(fake, real), pair_statistics(fake, real)
    truth = {
        "precision": pairs.balls_around_fakes > 0, "recall": pairs.recalled, "coverage": pairs.covered,
        "precision_k3": pairs.precise_k3, "recall_k3": pairs.recalled_k3, "density": pairs.balls_around_fakes / 5,
    }  # fmt: skip
    found = {name: metrics[name].value for name in truth}
    assert found == pytest.approx({name: rows.double().mean().item() for name, rows in truth.items()}, abs=1e-7)
    assert len(set(found.values())) == len(truth)


class TestFloor:
    def test_it_is_what_training_images_score(self) -> None:
        """Of 200 training images 80 are compared with the generated ones, and another 80 stand in for them."""
        real, train = normal(80, 4, 1), normal(200, 4, 2)
        metrics = measure(normal(80, 4, 0), real, train)
        assert {name for name, metric in metrics.items() if metric.floor is None} == {
            "copy_rate", "nearest_train_z"
        }  # fmt: skip
        assert metrics["unique"].floor == 1
        assert metrics["fd_gap"].floor == pytest.approx(metrics["fd"].floor - metrics["fd_train"].floor, abs=1e-9)

    def test_it_does_not_depend_on_the_generated_images(self) -> None:
        real, train = normal(80, 4, 1), normal(200, 4, 2)
        one, two = measure(normal(80, 4, 0), real, train), measure(9 * normal(80, 4, 3), real, train)
        assert [metric.floor for metric in one.values()] == [metric.floor for metric in two.values()]

    def test_it_follows_the_content_of_the_images(self) -> None:
        """The same variables with other numbers in them: no stale floor."""
        fake, real, train = normal(80, 4, 0), normal(80, 4, 1), normal(200, 4, 2)
        before = measure(fake, real, train)["fd"].floor
        train += 1
        moved = measure(fake, real, train)["fd"].floor
        real += 1
        assert moved > 2 * before
        assert measure(fake, real, train)["fd"].floor == pytest.approx(before)

    def test_it_follows_the_seed_and_the_strata(self) -> None:
        fake, real, train = (seen(normal(n, 4, n)) for n in (80, 80, 200))
        labels = torch.arange(80) % 4

        def floors(seed: int, strata: Tensor | None) -> list[float | None]:
            metrics = feature_metrics(Comparison(fake, real, train, seed), strata=strata)
            return [metrics[name].floor for name in ("fd", "fd_debiased")]

        plain, stratified, other = floors(0, None), floors(0, labels), floors(1, None)
        assert stratified[0] == plain[0] != other[0]
        assert stratified[1] != plain[1] != other[1]

    def test_few_training_images_stand_in_themselves(self) -> None:
        """100 of them: enough to stand in for 80, not enough to be compared with others of their kind as well."""
        metrics = measure(normal(80, 4, 0), normal(80, 4, 1), normal(100, 4, 2))
        assert metrics["precision"].floor is not None
        assert metrics["fd_gap"].status == "ok" and metrics["fd_gap"].floor is None

    def test_fewer_than_the_generated_cannot(self) -> None:
        metrics = measure(normal(80, 4, 0), normal(80, 4, 1), normal(50, 4, 2))
        assert metrics["precision"].floor is None
        assert metrics["auth_pct"].status == "ok"
        assert metrics["fd_gap"].reason == (
            "50 training images are fewer than the 80 generated: a distance to them has another bias"
        )


def test_the_error_of_the_gap_is_its_spread_over_generated_sets() -> None:
    """Given both real sets."""
    real, train = normal(200, 4, 998), normal(200, 4, 999)
    gaps = [measure(normal(200, 4, i), real, train)["fd_gap"] for i in range(40)]
    found = torch.tensor([[gap.value, gap.se] for gap in gaps])
    assert found[:, 1].mean() / found[:, 0].std() == pytest.approx(1, abs=0.35)


def test_the_halves_of_the_debiased_distance_share_the_strata() -> None:
    fake, real, labels = normal(60, 4, 0), normal(60, 4, 1), torch.arange(60) % 3
    plain, stratified = measure(fake, real), measure(fake, real, strata=labels)
    assert stratified["fd_debiased"].value == fd_debiased(fake, real, strata=labels).value != plain["fd_debiased"].value
    assert "stratified halves" in stratified["fd_debiased"].how
    assert stratified["fd"] == plain["fd"]


class TestDegenerate:
    def test_constant_features_are_measured(self) -> None:
        metrics = measure(torch.full((20, 3), 2.0), normal(20, 3, 1), normal(50, 3, 2))
        assert all(metric.status == "ok" for metric in metrics.values())
        assert metrics["vendi"].value == pytest.approx(1)

    def test_both_constant_are_measured(self) -> None:
        one = torch.full((20, 3), 2.0)
        metrics = measure(one, one, one)
        assert metrics["fd"].value == metrics["kid"].value == metrics["sliced_w2"].value == 0
        assert metrics["precision"].value == 0  # nothing is nearer than 0
        assert metrics["precision_k3"].value == 1
        assert metrics["nearest_train_z"].value == metrics["copy_rate"].value == 0
        assert all(metric.status == "ok" for metric in metrics.values())

    def test_features_of_zeros_have_no_vendi_score(self) -> None:
        metrics = measure(torch.zeros(20, 3), normal(20, 3, 1))
        assert (metrics["vendi"].status, metrics["vendi"].value) == ("failed", None)
        assert metrics["vendi"].reason.startswith("20 of 20 rows are zero")
        assert all(metric.status == "ok" for name, metric in metrics.items() if name != "vendi")

    @pytest.mark.parametrize(
        ("fake", "real", "message"),
        [
            (normal(5, 2, 0), normal(5, 2, 1), "5 rows; it needs at least 6"),
            (normal(1, 2, 0), normal(1, 2, 1), "1 rows; it needs at least 6"),
            (normal(9, 2, 0), normal(8, 2, 1), "9 generated images against 8 real ones"),
            (normal(9, 2, 0), normal(9, 3, 1), "2 columns, real rows 3"),
            (normal(9, 2, 0) / 0, normal(9, 2, 1), "9 of 9 rows of the generated set hold NaN or infinity"),
            (normal(9, 2, 0), normal(9, 2, 1) * math.nan, "9 of 9 rows of the real set hold NaN or infinity"),
        ],
    )
    def test_unusable_sets_are_told_in_one_line(self, fake: Tensor, real: Tensor, message: str) -> None:
        with pytest.raises(InvalidSamples, match=message) as caught:
            measure(fake, real)
        assert "\n" not in str(caught.value)

    def test_six_are_enough(self) -> None:
        assert measure(normal(6, 2, 0), normal(6, 2, 1))["precision"].status == "ok"

    def test_unusable_training_features_are_told(self) -> None:
        with pytest.raises(InvalidSamples, match="training set"):
            measure(normal(9, 2, 0), normal(9, 2, 1), normal(20, 2, 2) / 0)


def test_small_and_unequal_sets_are_flagged() -> None:
    assert size_warnings(500)[0].startswith("low_n: 500")
    assert size_warnings(10_000) == size_warnings(10_000, 10_000) == []
    low, unequal = size_warnings(10_000, 500)
    assert low.startswith("low_n: 500")
    assert unequal == "unequal: 10000 generated, 500 real; a fixed random 500 of the larger are compared"
