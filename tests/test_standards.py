"""The real side: what is read of it, how many, and what a reader must know."""

from dataclasses import replace

import pytest
import torch

from genzoo import standards
from genzoo.data import load
from genzoo.data.core import Split
from genzoo.errors import InvalidSamples
from genzoo.evaluation import evaluate_images, load_extractor
from genzoo.evaluation.samples import SampleSet
from genzoo.standards import Images, Panel, of_data, of_samples

DIGITS, POINTS = load("digits"), load("8gaussians")
CNN8 = Panel((load_extractor("cnn8"),))


def test_a_split_of_images_says_what_is_wanted_and_how_much() -> None:
    test, train = of_data(DIGITS), of_data(DIGITS, "train")
    assert (test.wanted.shape, test.wanted.levels, test.name) == ((1, 8, 8), 17, "digits")
    assert (test.num_samples, train.num_samples, of_data(POINTS).num_samples) == (500, 1297, 10_000)


def test_perfect_samples_measure_well() -> None:
    x = POINTS.test.x()
    assert of_data(POINTS).measure(x, Panel()).metrics["good_points"].value == pytest.approx(0.99, abs=0.005)
    found = of_data(DIGITS).measure(DIGITS.test.images(), CNN8)
    assert found.metrics["precision"].value == found.metrics["coverage"].value == 1.0
    assert found.data.n == 500 and found.beside is None and found.extractor.name == "cnn8"


def test_as_many_real_images_are_read_as_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = DIGITS.train.images()[:60]
    whole = evaluate_images(
        fake,
        DIGITS.test.images(),
        extractor=CNN8.extractors[0],
        train=DIGITS.train.images(),
        strata=DIGITS.test.labels,
    )
    read, images = [], Split.images

    def counting(split: Split, indices: torch.Tensor) -> torch.Tensor:
        read.append((split is DIGITS.train, len(indices)))
        return images(split, indices)

    monkeypatch.setattr(Split, "images", counting)
    assert of_data(DIGITS).measure(fake, CNN8).metrics == whole
    assert sorted(read) == [(False, 60), (True, 1297)]


def test_only_splits_of_data_sets_were_drawn_class_by_class() -> None:
    """Somebody's own images may have labels too: of those it is not known how they came together."""
    x, labels = DIGITS.test.images(), DIGITS.test.labels
    own = of_samples(SampleSet("mine", x, labels=labels)).measure(x, CNN8, asked=labels).metrics
    split = of_data(DIGITS).measure(x, CNN8).metrics
    assert "two stratified halves" in split["fd_debiased"].how and "two halves" in own["fd_debiased"].how
    assert own["class_accuracy"].expected is not None and own["class_accuracy"].expected > 0.9


@pytest.mark.parametrize("limit", ["MAX_TRAIN_IMAGES", "MAX_TRAIN_BYTES"])
def test_copies_are_looked_for_among_as_many_training_images_as_fit(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(standards, limit, 1000 if limit == "MAX_TRAIN_IMAGES" else 64_000)
    found = of_data(DIGITS).measure(DIGITS.test.images(), CNN8)
    assert "copies are looked for among 1,000 of 1,297 training images" in found.warnings
    assert "nearest of 1000 training images" in found.metrics["nearest_train_z"].how


def test_without_training_images_it_is_said_that_no_copies_are_looked_for() -> None:
    said = "copies are not looked for: no training images are known beside the real ones"
    for standard in (of_data(DIGITS, "train"), of_samples(SampleSet("mine", DIGITS.test.images()))):
        found = standard.measure(DIGITS.test.images()[:50], CNN8)
        assert said in found.warnings and "auth_pct" not in found.metrics
    assert said not in of_data(DIGITS).measure(DIGITS.test.images()[:50], CNN8).warnings


def test_points_without_a_known_density_are_not_measured() -> None:
    found = of_data(replace(POINTS, density=None)).measure(POINTS.test.points()[:50], Panel())
    assert found.metrics == {} and found.data.n == 50
    assert found.warnings == ("the density of 8gaussians is not known: points are not measured",)


def test_as_many_points_are_drawn_as_there_are_samples() -> None:
    assert of_data(POINTS).measure(POINTS.train.points()[:300].repeat(40, 1), Panel()).data.n == 12_000


def test_points_are_no_real_side_for_points() -> None:
    with pytest.raises(InvalidSamples, match="mine holds points, which are measured against a known density only"):
        of_samples(SampleSet("mine", POINTS.test.points()))


def test_what_was_done_to_the_real_images_and_to_the_samples_is_told() -> None:
    real = of_samples(SampleSet("mine", DIGITS.test.images(), ("2 of 500 images laid over white",)))
    assert isinstance(real, Images) and real.part.preparation == "2 of 500 images laid over white"
    found = real.measure(DIGITS.test.images()[:50], CNN8)
    both = found.prepared(("50 of 50 images resized",)).data.preparation
    assert both == "samples: 50 of 50 images resized; real images: 2 of 500 images laid over white"
    assert found.prepared(()) is found
