"""Class accuracy: how many conditional samples are what was asked for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from genzoo.assessment import evaluate
from genzoo.errors import InvalidSamples
from genzoo.evaluation import evaluate_images, load_extractor
from genzoo.evaluation.by_name import class_accuracy
from genzoo.evaluation.diversity import in_their_class
from genzoo.evaluation.intervals import wilson
from genzoo.evaluation.samples import read_images
from genzoo.protocols import Comparison, ImageSet

Digits = tuple[Tensor, Tensor, Tensor]


def images(logits: Tensor, labels: Tensor | None) -> ImageSet:
    return ImageSet(torch.zeros(len(logits), 8, 8, 1, dtype=torch.uint8), torch.randn(len(logits), 4), logits, labels)


def test_it_is_the_share_of_labels_that_the_classifier_sees() -> None:
    """Brute force, one image after the other."""
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 5, generator=generator), torch.randint(5, (200,), generator=generator)
    brute = [max(range(5), key=row.__getitem__) == y for row, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    assert in_their_class(images(logits, labels)).tolist() == brute


def test_of_images_it_has_wilsons_interval_and_the_classifiers_own_accuracy_beside_it(digits: Digits) -> None:
    _, test, labels = digits
    asked = labels[:250].clone()
    asked[:100] = (asked[:100] + 1) % 10  # 100 of 250 are asked for as something else
    found = evaluate_images(test[:250], test[250:], labels=asked, strata=labels[250:])["class_accuracy"]
    own = [in_their_class(seen(test[part], labels[part])).double() for part in (slice(250), slice(250, None))]
    assert found.value is not None and found.better == "higher"
    assert abs(found.value - 0.6) <= 1 - own[0].mean().item()
    assert found.interval == wilson(found.value, 250)
    assert found.expected == own[1].mean().item() > 0.9


def seen(pictures: Tensor, labels: Tensor) -> ImageSet:
    from genzoo.evaluation import extract

    extractor = load_extractor("cnn8")
    features = extract(pictures, extractor)
    return ImageSet(pictures, features, extractor.logits(features), labels)


def test_labels_are_cut_with_their_images(digits: Digits) -> None:
    _, test, labels = digits
    found = evaluate_images(test, test[:120], labels=labels, strata=labels[:120])["class_accuracy"]
    assert found.value is not None and found.value > 0.9


def test_it_is_there_only_where_labels_and_a_classifier_are(digits: Digits) -> None:
    train, test, labels = digits
    asked = labels[:60]
    assert "class_accuracy" not in evaluate_images(train[:60], test[:60])
    blind = load_extractor("rand28")
    assert "class_accuracy" not in evaluate_images(test[:60], test[60:120], labels=asked, extractor=blind)


@pytest.mark.parametrize(
    ("asked_more", "real_labels", "told"),
    [
        (0, lambda labels: None, "the real images have no labels: whether the extractor knows their classes is not"),
        (990, lambda labels: labels, "the extractor sees 10 classes"),
        (0, lambda labels: labels + 5, "labels are 5 to 14, the extractor sees 10 classes"),
        (0, lambda labels: (labels + 1) % 10, "of the real images, less than 50%: its classes are not those of this"),
    ],
    ids=["unknown", "asked for others", "of others", "otherwise numbered"],
)
def test_it_has_failed_where_the_extractor_does_not_know_the_classes(
    digits: Digits, asked_more: int, real_labels: Callable[[Tensor], Tensor | None], told: str
) -> None:
    _, test, labels = digits
    asked, real = labels[:60] + asked_more, real_labels(labels[60:120])
    found = evaluate_images(test[:60], test[60:120], labels=asked, real_labels=real)["class_accuracy"]
    assert (found.status, found.value, found.expected) == ("failed", None, None)
    assert found.reason is not None and told in found.reason


def test_by_name_it_says_what_it_lacks() -> None:
    logits = one_hot(torch.arange(20) % 3).float()
    whole = Comparison(images(logits, torch.arange(20) % 3), images(logits, torch.arange(20) % 3))
    assert class_accuracy()(whole).value == 1.0
    with pytest.raises(InvalidSamples, match="needs the classes of an extractor, and labels of the generated images"):
        class_accuracy()(Comparison(images(logits, None), whole.real))


# Read from a file


def save(path: Path, pictures: Tensor, labels: object) -> Path:
    np.savez(path, arr_0=pictures.numpy(), arr_1=np.asarray(labels))
    return path


def test_arr_1_of_a_file_is_what_was_asked_for(digits: Digits, tmp_path: Path) -> None:
    _, test, labels = digits
    path = save(tmp_path / "samples.npz", test[:100], labels[:100].numpy())
    assert read_images(path).labels.tolist() == labels[:100].tolist()  # type: ignore[union-attr]
    record = evaluate(path, data="digits")
    assert record.metrics["class_accuracy"].value is not None and record.metrics["class_accuracy"].value > 0.9
    some = evaluate(path, data="digits", num_samples=40)  # labels are cut as the images are
    assert some.metrics["class_accuracy"].value is not None and some.metrics["class_accuracy"].value > 0.9


@pytest.mark.parametrize("labels", [np.zeros(4, int), np.zeros((5, 10)), np.zeros(5), np.array(["a"] * 5)])
def test_an_arr_1_that_is_no_labels_is_refused(digits: Digits, tmp_path: Path, labels: np.ndarray) -> None:
    path = save(tmp_path / "samples.npz", digits[1][:5], labels)
    with pytest.raises(InvalidSamples, match=r"arr_1 is .*; it must be the labels of 5 images, whole numbers \[5\]"):
        read_images(path)
