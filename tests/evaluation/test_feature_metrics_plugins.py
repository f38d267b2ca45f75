"""Metrics of plugins in the table of feature metrics."""

import math

import pytest
from feature_sets import normal, seen

from genzoo.errors import InvalidSamples, PluginError
from genzoo.evaluation.metrics import NAMES, feature_metrics
from genzoo.evaluation.parts import Metric
from genzoo.protocols import Comparison, Measurement


class TestPlugins:
    """Metrics of others see the same comparison, and cannot harm ours."""

    COMPARISON = Comparison(seen(normal(40, 3, 0)), seen(normal(40, 3, 1)), seen(normal(90, 3, 2)), seed=5)

    def of(self, metric: object) -> Metric:
        metrics = feature_metrics(self.COMPARISON, extra={"theirs": metric})
        assert tuple(metrics) == (*NAMES, "theirs")
        assert all(metrics[name].status == "ok" for name in NAMES)
        return metrics["theirs"]

    def test_a_measurement_becomes_a_metric(self) -> None:
        def mean_distance(comparison: Comparison) -> Measurement:
            difference = comparison.generated.features.mean() - comparison.real.features.mean()
            return Measurement(difference.abs().item(), "lower", "means", se=0.5, expected=0.0)

        metric = self.of(mean_distance)
        truth = abs(self.COMPARISON.generated.features.mean() - self.COMPARISON.real.features.mean()).item()
        assert (metric.value, metric.se, metric.expected, metric.how) == (truth, 0.5, 0, "means")
        assert metric.interval == pytest.approx((truth - 0.98, truth + 0.98), abs=1e-4)

    def test_it_gets_the_training_images_and_the_seed(self) -> None:
        metric = self.of(lambda given: Measurement(len(given.train) + given.seed, "higher", "counted"))
        assert (metric.value, metric.se, metric.interval) == (95, None, None)

    def test_one_that_raises_has_failed_with_its_reason(self) -> None:
        metric = self.of(lambda given: Measurement(1 / (len(given.real) - 40), "higher", "a quotient"))
        assert (metric.status, metric.value) == ("failed", None)
        assert metric.reason == "ZeroDivisionError: division by zero"

    def test_one_that_says_why_there_is_none_is_quoted(self) -> None:
        def strict(given: Comparison) -> Measurement:
            raise InvalidSamples("40 images are too few for it: draw 100")

        assert self.of(strict).reason == "40 images are too few for it: draw 100"

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_one_that_is_not_finite_has_failed(self, value: float) -> None:
        metric = self.of(lambda given: Measurement(value, "higher", "nothing"))
        assert (metric.status, metric.how) == ("failed", "nothing")
        assert str(value) in metric.reason

    @pytest.mark.parametrize(
        "found", [3.5, None, Measurement(1.0, "sideways", "how"), Measurement("x", "lower", "how")]
    )
    def test_one_that_gives_something_else_has_failed(self, found: object) -> None:
        metric = self.of(lambda given: found)
        assert metric.status == "failed"
        assert "\n" not in metric.reason

    def test_one_that_writes_into_its_input_changes_nothing(self) -> None:
        def vandal(given: Comparison) -> Measurement:
            for images in (given.generated, given.real, given.train):
                images.features.zero_()
                images.images.zero_()
            return Measurement(0.0, "lower", "zeros")

        before = feature_metrics(self.COMPARISON)
        self.of(vandal)
        assert feature_metrics(self.COMPARISON) == before

    def test_one_may_not_take_the_name_of_ours(self) -> None:
        with pytest.raises(PluginError, match="'kid', which is GenZoo's own"):
            feature_metrics(self.COMPARISON, extra={"kid": lambda given: Measurement(0.0, "lower", "theirs")})
