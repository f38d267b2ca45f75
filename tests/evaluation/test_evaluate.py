"""From uint8 images and points to the whole table."""

import pytest
import torch
from torch import Tensor

from genzoo.data.points import density
from genzoo.errors import InvalidSamples
from genzoo.evaluation import evaluate_images, evaluate_points, gaussian, load_extractor, train_subset
from genzoo.evaluation.checks import subset
from genzoo.images import quantise, to_unit

Digits = tuple[Tensor, Tensor, Tensor]


def pixels_to_unit(images: Tensor) -> Tensor:
    return to_unit(images, 256)


@pytest.mark.parametrize("extractor", ["cnn8", "rand28"])
def test_the_ceiling_is_far_above_the_floor(digits: Digits, extractor: str) -> None:
    train, test, labels = digits
    ceiling = train[train_subset(len(train), 500, seed=0)]
    floor = quantise(gaussian(pixels_to_unit(train), 500, seed=0), 17)
    high, low = (
        evaluate_images(fake, test, extractor=load_extractor(extractor), strata=labels) for fake in (ceiling, floor)
    )
    assert abs(high["fd_debiased"].value) < low["fd_debiased"].value / 10
    assert high["kid"].value < low["kid"].value / 10
    for name in ("precision", "density", "coverage"):
        assert high[name].value > low[name].value + 0.1, name


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


def test_real_images_without_channels_are_refused(digits: Digits) -> None:
    with pytest.raises(InvalidSamples, match=r"shape \(500, 8, 8\)"):
        evaluate_images(digits[0], digits[1][..., 0])


def test_points() -> None:
    moons = density("moons")
    assert evaluate_points(moons.sample(100, torch.Generator().manual_seed(0)), moons)["modes_covered"].value == 2
