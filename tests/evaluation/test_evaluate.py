"""From uint8 images and points to the whole table."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from genzoo.data.points import density
from genzoo.errors import InvalidSamples
from genzoo.evaluation import evaluate_images, evaluate_points, gaussian, load_extractor
from genzoo.evaluation.checks import subset
from genzoo.evaluation.metrics import NAMES
from genzoo.evaluation.parts import Metric
from genzoo.images import quantise, to_unit
from genzoo.protocols import Comparison, Measurement

Digits = tuple[Tensor, Tensor, Tensor]


def pixels_to_unit(images: Tensor) -> Tensor:
    return to_unit(images, 256)


@pytest.mark.parametrize("extractor", ["cnn8", "rand28"])
def test_the_ceiling_is_far_above_the_floor(digits: Digits, extractor: str) -> None:
    train, test, labels = digits
    ceiling = train[subset(len(train), 500, seed=0)]
    floor = quantise(gaussian(pixels_to_unit(train), 500, seed=0), 17)
    high, low = (
        evaluate_images(fake, test, extractor=load_extractor(extractor), strata=labels) for fake in (ceiling, floor)
    )
    assert abs(high["fd_debiased"].value) < low["fd_debiased"].value / 10
    assert high["kid"].value < low["kid"].value / 10
    for name in ("precision", "density", "coverage"):
        assert high[name].value > low[name].value + 0.1, name


@pytest.fixture(scope="module")
def honest(digits: Digits) -> dict[str, Metric]:
    """300 training images that nobody trained on, against 300 test images and 600 others."""
    train, test, _ = digits
    return evaluate_images(train[:300], test[:300], train=train[600:1200])


def test_training_images_bring_the_metrics_of_copying_and_the_floors(honest: dict[str, Metric]) -> None:
    assert tuple(honest) == tuple(name for name in NAMES if name != "class_accuracy")  # nobody asked for a class
    assert all(metric.status == "ok" for metric in honest.values())
    without_floor = {name for name, metric in honest.items() if metric.floor is None}
    assert without_floor == {"copy_rate", "nearest_train_z"}


@pytest.mark.parametrize("name", ["fd", "kid", "precision", "recall", "density", "coverage", "vendi", "sliced_w2"])
def test_unseen_images_score_about_as_much_as_the_floor(honest: dict[str, Metric], name: str) -> None:
    metric = honest[name]
    assert metric.value == pytest.approx(metric.floor, rel=0.25, abs=0.08)


def test_a_memoriser_is_caught(digits: Digits, honest: dict[str, Metric]) -> None:
    """Copies of training images, each pixel moved by up to 8 of 255: no longer byte for byte."""
    train, test, _ = digits
    noise = torch.randint(-8, 9, (300, 8, 8, 1), generator=torch.Generator().manual_seed(0))
    stolen = train[600:900]
    near = (stolen + noise).clamp(0, 255).to(torch.uint8)
    for fake, num_equal in ((stolen, 300), (near, 0)):
        thief = evaluate_images(fake, test[:300], train=train[600:1200])
        assert thief["exact_duplicates"].value == num_equal
        assert thief["auth_pct"].value < 0.1 < honest["auth_pct"].value
        assert thief["copy_rate"].value > 0.9 > 0.1 > honest["copy_rate"].value
        assert thief["nearest_train_z"].value < -15 < -5 < honest["nearest_train_z"].value
        assert thief["fd_gap"].value > honest["fd_gap"].value


def test_a_collapsed_model_is_not_diverse(digits: Digits, honest: dict[str, Metric]) -> None:
    train, test, _ = digits
    collapsed = evaluate_images(train[:2].repeat(150, 1, 1, 1), test[:300])
    for name in ("vendi", "coverage", "recall", "unique"):
        assert collapsed[name].value < honest[name].value / 2, name
    assert collapsed["class_distance"].value > 0.7


def test_dropped_classes_change_the_histogram_and_the_recall_and_not_the_precision(digits: Digits) -> None:
    _, test, labels = digits
    dropped, whole = (evaluate_images(fake, test[250:]) for fake in (test[:250][labels[:250] < 5], test[:250]))
    assert dropped["class_distance"].value == pytest.approx(0.5, abs=0.06)
    assert dropped["recall"].value < whole["recall"].value - 0.2
    assert dropped["precision"].value > whole["precision"].value - 0.1


def test_the_batch_size_and_the_order_change_nothing(digits: Digits) -> None:
    train, test, _ = digits
    cnn8 = load_extractor("cnn8")
    one = evaluate_images(train[:200], test[:200], extractor=replace(cnn8, batch_size=200), train=train)
    two = evaluate_images(train[:200], test[:200], extractor=replace(cnn8, batch_size=7), train=train)
    turned = evaluate_images(train[:200].flip(0), test[:200].roll(9, 0), extractor=cnn8, train=train)
    for name in one:
        assert two[name].value == pytest.approx(one[name].value, rel=1e-4, abs=1e-5), name
        if name != "fd_debiased":  # whose halves go by row number
            assert turned[name].value == pytest.approx(one[name].value, rel=1e-4, abs=1e-5), name


def test_an_extractor_that_is_no_classifier_compares_no_classes(digits: Digits) -> None:
    train, test, _ = digits
    metrics = evaluate_images(train[:50], test[:50], extractor=load_extractor("rand28"), train=train)
    assert set(NAMES) - set(metrics) == {"class_distance", "class_accuracy"}


def test_metrics_of_plugins_see_the_images(digits: Digits) -> None:
    def darkness(comparison: Comparison) -> Measurement:
        sets = (comparison.generated, comparison.real, comparison.train)
        assert [len(images) for images in sets] == [50, 50, 700]
        return Measurement(comparison.generated.images.double().mean().item(), "lower", "mean grey level")

    train, test, _ = digits
    metrics = evaluate_images(train[:50], test[:60], train=train[:700], metrics={"darkness": darkness})
    assert metrics["darkness"].value == train[:50].double().mean().item()


def test_the_larger_set_is_cut_to_the_smaller_with_its_labels(digits: Digits) -> None:
    train, test, labels = digits
    few = evaluate_images(train[:120], test, strata=labels)
    many = evaluate_images(train, test[:120], strata=labels[:120])
    assert few["fd"].how.startswith("120 generated against 120 real")
    assert many["fd"].how.startswith("120 generated against 120 real")
    rows = subset(len(test), 120, seed=0)
    assert few == evaluate_images(train[:120], test[rows], strata=labels[rows])
    assert few["fd"] != evaluate_images(train[:120], test, strata=labels, seed=1)["fd"]


def test_reference_features_are_kept_by_content(digits: Digits) -> None:
    """The same variable with other images in it: no stale number."""
    train, test, _ = digits
    cache: dict[tuple[str, str], Tensor] = {}
    first = evaluate_images(train[:100], test[:100], cache=cache)
    assert evaluate_images(train[:100], test[:100], cache=cache) == first
    assert len(cache) == 1
    evaluate_images(train[:100], test[:100], train=train, cache=cache)
    assert len(cache) == 2
    assert evaluate_images(train[:100], 255 - test[:100], cache=cache)["fd"].value > 2 * first["fd"].value


def test_a_copy_of_the_test_split_scores_one(digits: Digits) -> None:
    _, test, _ = digits
    distinct = torch.unique(test, dim=0)
    metrics = evaluate_images(distinct, distinct)
    assert metrics["fd"].value < 1e-6
    assert [metrics[name].value for name in ("precision", "recall", "density", "coverage")] == [1, 1, 1, 1]


def test_fakes_of_another_size_are_refused(digits: Digits) -> None:
    with pytest.raises(InvalidSamples, match="use cnn28"):
        evaluate_images(torch.zeros(20, 28, 28, 1, dtype=torch.uint8), digits[1])


def test_floats_are_refused(digits: Digits) -> None:
    with pytest.raises(InvalidSamples, match="not uint8"):
        evaluate_images(pixels_to_unit(digits[0]).permute(0, 2, 3, 1), digits[1])
    with pytest.raises(InvalidSamples, match="not uint8"):
        evaluate_images(digits[0], digits[1].float())


def test_unsuitable_training_images_are_refused(digits: Digits) -> None:
    train, test, _ = digits
    with pytest.raises(InvalidSamples, match="use cnn28"):
        evaluate_images(train, test, train=torch.zeros(20, 28, 28, 1, dtype=torch.uint8))
    with pytest.raises(InvalidSamples, match="training set has 3 rows"):
        evaluate_images(train, test, train=train[:3])


def test_real_images_without_channels_are_refused(digits: Digits) -> None:
    with pytest.raises(InvalidSamples, match=r"shape \(500, 8, 8\)"):
        evaluate_images(digits[0], digits[1][..., 0])


def test_points() -> None:
    moons = density("moons")
    assert evaluate_points(moons.sample(100, torch.Generator().manual_seed(0)), moons)["modes_covered"].value == 2
