"""Metrics of points: what a perfect, a collapsed and a blurred model score, and the floors."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from genzoo.data.points import density as known_density
from genzoo.errors import InvalidSamples
from genzoo.evaluation.points import KnownDensity, floors, mmd2, mode_total_variation, point_metrics, sliced_w2

N = 2000


@pytest.fixture(scope="module")
def eight() -> KnownDensity:
    return known_density("8gaussians")


def draw(density: KnownDensity, n: int = N, seed: int = 0) -> Tensor:
    return density.sample(n, Generator().manual_seed(seed))


def test_fresh_draws_score_like_the_floor(eight: KnownDensity) -> None:
    metrics = point_metrics(draw(eight), eight)
    assert list(metrics) == ["modes_covered", "good_points", "mode_tv", "sliced_w2", "mmd2"]
    assert metrics["modes_covered"].value == metrics["modes_covered"].floor == 8
    assert metrics["good_points"].value == pytest.approx(0.99, abs=4 * math.sqrt(0.01 * 0.99 / N))
    assert metrics["good_points"].floor == pytest.approx(0.99, abs=0.002)
    assert metrics["mode_tv"].value < 3 * metrics["mode_tv"].floor
    assert metrics["sliced_w2"].value < 3 * metrics["sliced_w2"].floor
    assert abs(metrics["mmd2"].value) < 5 * metrics["mmd2"].se
    assert abs(metrics["mmd2"].floor) < 1e-3


def test_a_dropped_mode_is_seen_though_all_points_are_good(eight: KnownDensity) -> None:
    x = draw(eight)
    kept = x[eight.mode_of(x) != 3]
    metrics = point_metrics(kept, eight)
    assert metrics["modes_covered"].value == 7
    assert metrics["good_points"].value > 0.98
    assert metrics["mode_tv"].value == pytest.approx(1 / 8, abs=0.02)
    assert metrics["mmd2"].value > 5 * metrics["mmd2"].se


def test_modes_three_times_too_wide_are_few_good_points_though_sliced_w2_hardly_moves(eight: KnownDensity) -> None:
    x = draw(eight)
    centres = eight.modes[eight.mode_of(x)]
    wide = point_metrics(centres + 3 * (x - centres), eight)
    assert wide["good_points"].value < 0.5
    assert wide["sliced_w2"].value < 0.25


def test_a_mode_needs_a_fifth_of_its_share(eight: KnownDensity) -> None:
    """Of 800 points 100 are expected of each mode; 20 of them are enough."""
    for held, covered in ((20, 8), (19, 7)):
        points = torch.cat([eight.modes[:7].repeat_interleave(100, 0), eight.modes[7:].repeat(held, 1)])
        away = torch.full((800 - len(points), 2), 50.0)
        assert point_metrics(torch.cat([points, away]), eight)["modes_covered"].value == covered


def test_bad_points_cover_no_mode(eight: KnownDensity) -> None:
    """Six standard deviations outside its centre a point is nearest to that mode still, and not in it."""
    x = draw(eight, 800)
    first = eight.mode_of(x) == 0
    x[first] = eight.modes[0] * (1 + 6 * eight.mode_std / eight.modes[0].norm())
    metrics = point_metrics(x, eight)
    assert metrics["modes_covered"].value == 7
    assert metrics["mode_tv"].value < 0.1


def test_total_variation_of_a_known_histogram(eight: KnownDensity) -> None:
    assert mode_total_variation(torch.tensor([0, 0, 0, 0, 1, 1, 2, 3]), eight) == pytest.approx(0.5)
    assert mode_total_variation(torch.arange(8), eight) == 0


def test_sliced_w2_of_a_shift() -> None:
    """Each projection of a shift s is |s| cos(angle), whose root mean square is |s| / sqrt 2."""
    x = torch.randn(500, 2, generator=Generator().manual_seed(0))
    assert sliced_w2(x + torch.tensor([0.3, -0.4]), x) == pytest.approx(0.5 / math.sqrt(2), rel=1e-4)
    assert sliced_w2(x.flip(0), x) == 0


def test_mmd2_in_one_block_equals_brute_force() -> None:
    x, y = (torch.randn(40, 2, generator=Generator().manual_seed(i)).double() + i for i in (0, 1))

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        square = (a[:, None] - b).square().sum(2)
        return (torch.exp(-square / (2 * 0.5**2)) + torch.exp(-square / 2)) / 2

    def off_diagonal_mean(k: Tensor) -> Tensor:
        return (k.sum() - k.trace()) / (40 * 39)

    truth = off_diagonal_mean(kernel(x, x)) + off_diagonal_mean(kernel(y, y)) - 2 * kernel(x, y).mean()
    assert mmd2(x, y, (0.5, 1.0)).value == pytest.approx(truth.item(), rel=1e-5)


def test_the_error_of_mmd2_is_its_spread_over_repetitions() -> None:
    def estimate(seed: int) -> tuple[float, float]:
        x, y = (torch.randn(3000, 2, generator=Generator().manual_seed(s)) for s in (seed, 1000 + seed))
        return mmd2(x + 0.2, y, (0.5,))

    estimates = torch.tensor([estimate(seed) for seed in range(20)])
    assert estimates[:, 1].mean() / estimates[:, 0].std() == pytest.approx(1, abs=0.5)


def test_numbers_repeat_exactly(eight: KnownDensity) -> None:
    x = draw(eight, 600)
    first = point_metrics(x, eight)
    floors.cache_clear()
    assert point_metrics(x.clone(), eight) == first


@pytest.mark.parametrize("name", ["25gaussians", "rings", "moons", "checkerboard", "spirals"])
def test_every_built_in_density_has_every_metric(name: str) -> None:
    density = known_density(name)
    metrics = point_metrics(draw(density, 1000), density)
    assert metrics["modes_covered"].value == density.num_modes
    assert all(m.status == "ok" and m.floor is not None for m in metrics.values())


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (torch.zeros(9, 2), "9 rows"),
        (torch.full((20, 2), torch.inf), "20 of 20 rows"),
        (torch.zeros(20, 3), "3 coordinates"),
        (torch.zeros(20, 1, 8, 8), r"shape \(20, 1, 8, 8\)"),
    ],
)
def test_unusable_points_are_told(points: Tensor, message: str, eight: KnownDensity) -> None:
    with pytest.raises(InvalidSamples, match=message):
        point_metrics(points, eight)


def test_huge_points_are_measured(eight: KnownDensity) -> None:
    metrics = point_metrics(torch.full((50, 2), 1e30), eight)
    assert metrics["good_points"].value == 0
    assert np.isfinite(metrics["mmd2"].value)
    assert metrics["sliced_w2"].status == "ok"


@dataclass(frozen=True)
class Uniform:
    """A stranger's density: the interface is all that is needed."""

    num_modes = 1
    mode_weights = torch.ones(1)
    threshold_99 = -math.inf
    bandwidths = (0.3,)

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.where(((x >= 0) & (x < 1)).all(1), 0.0, -math.inf)

    def mode_of(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), dtype=torch.int64)

    def sample(self, n: int, generator: Generator) -> Tensor:
        return torch.rand(n, 2, generator=generator)


def test_any_density_with_the_interface_will_do() -> None:
    assert point_metrics(draw(Uniform(), 100), Uniform())["modes_covered"].value == 1
