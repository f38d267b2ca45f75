"""Point samples over the true density."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.benchmark.points import INSIDE, OUTSIDE, PIXELS, Plate
from genzoo.data.points import density


def drawn(plate: Plate, points: list[list[float]]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plate.draw(np.array(points, dtype=np.float32)))).convert("RGBA"))


def nearest(pixel: np.ndarray) -> tuple[int, int, int]:
    return min((INSIDE, OUTSIDE), key=lambda colour: np.abs(pixel[:3].astype(int) - colour).sum())


def test_points_stand_where_they_are_and_tell_whether_they_are_inside() -> None:
    law = density("8gaussians")
    plate = Plate.of(law)
    assert law.modes is not None
    mode = law.modes[0].tolist()
    image = drawn(plate, [mode, [0.0, 0.0]])
    x, y = (round(PIXELS / 2 * (1 + sign * value / plate.limit)) for sign, value in zip((1, -1), mode, strict=True))
    assert nearest(image[y, x]) == INSIDE
    assert nearest(image[PIXELS // 2, PIXELS // 2]) == OUTSIDE
    assert image[5, 5, 3] == 0


@pytest.mark.parametrize("name", ["25gaussians", "checkerboard", "moons", "rings"])
def test_the_plate_shows_nearly_all_of_the_true_density(name: str) -> None:
    law = density(name)
    plate = Plate.of(law)
    draws = law.sample(2000, torch.Generator().manual_seed(1))
    assert (draws.abs() < plate.limit).all(dim=1).float().mean() > 0.998
    assert 0.001 < (np.asarray(plate.shade)[..., 3] > 20).mean() < 0.8


def test_points_beyond_the_edge_and_not_finite_are_left_out() -> None:
    plate = Plate.of(density("moons"))
    empty = drawn(plate, [[float("nan"), 0.0], [0.0, float("inf")]])
    assert np.array_equal(empty, drawn(plate, [[1e9, 0.0]]))
    assert not np.array_equal(empty, drawn(plate, [[0.5, 0.5]]))
