"""The generated pictures: the same on every machine, labelled by what stands in them."""

import numpy as np
import torch

from genzoo.data import load
from genzoo.data.shapes import FORMS, SIDE, pictures


def test_they_load_like_any_colour_data_set() -> None:
    data = load("shapes")
    assert (data.shape, data.levels, data.num_classes) == ((3, 32, 32), 256, len(FORMS))
    assert len(data.train) == 10_000 and len(data.test) == 5_000
    batch = data.train.batch(torch.arange(8))
    assert batch.x.shape == (8, 3, 32, 32) and batch.x.abs().max() <= 1 and batch.y is not None
    assert load("shapes").fingerprint == data.fingerprint


def test_a_seed_makes_the_same_pictures_and_another_seed_others() -> None:
    (one, labels), (again, same), (other, _) = pictures(50, 3), pictures(50, 3), pictures(50, 4)
    assert np.array_equal(one, again) and np.array_equal(labels, same) and not np.array_equal(one, other)


def test_every_class_is_there_about_as_often() -> None:
    counts = np.bincount(pictures(5_000, 0)[1], minlength=len(FORMS))
    assert len(counts) == len(FORMS) and (abs(counts - 500) < 5 * 500**0.5).all()


def test_what_stands_in_a_picture_is_what_its_label_says() -> None:
    """The centre of a picture is covered by a disc, and shows the ground through a ring; forms cover unlike areas."""
    v, u = np.mgrid[-1.2 : 1.2 : SIDE * 1j, -1.2 : 1.2 : SIDE * 1j]
    inside = {name: form(u, v) < 0 for name, form in FORMS.items()}
    middle = SIDE // 2
    assert inside["disc"][middle, middle] and inside["plus"][middle, middle] and inside["cross"][middle, middle]
    assert not any(inside[name][middle, middle] for name in ("ring", "frame", "bars", "columns"))
    areas = {name: mask.mean() for name, mask in inside.items()}
    assert all(0.1 < area < 0.6 for area in areas.values())
    overlap = [(inside[a] != inside[b]).mean() for a in FORMS for b in FORMS if a < b]
    assert min(overlap) > 0.04
