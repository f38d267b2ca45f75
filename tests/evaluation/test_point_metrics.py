"""Metrics of points: what a perfect, a collapsed and a blurred model score, and the floors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, norm
from scipy.stats import energy_distance as scipy_energy_distance
from scipy.stats import t as stats_t
from torch import Generator, Tensor

from genzoo.data.points import density as known_density
from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import cut
from genzoo.evaluation.parts import Likelihood, Metric
from genzoo.evaluation.points import (
    KnownDensity,
    energy_distance,
    floors,
    kl_from,
    mmd2,
    mode_total_variation,
    point_metrics,
    sliced_w2,
)  # fmt: skip

N = 2000


@pytest.fixture(scope="module")
def eight() -> KnownDensity:
    return known_density("8gaussians")


def draw(density: KnownDensity, n: int = N, seed: int = 0) -> Tensor:
    return density.sample(n, Generator().manual_seed(seed))


def test_fresh_draws_score_like_the_floor(eight: KnownDensity) -> None:
    metrics = point_metrics(draw(eight), eight)
    assert list(metrics) == ["modes_covered", "good_points", "mode_tv", "sliced_w2", "mmd2", "energy_distance"]
    assert metrics["good_points"].expected == 0.99
    assert metrics["modes_covered"].value == metrics["modes_covered"].floor == 8
    assert metrics["good_points"].value == pytest.approx(0.99, abs=4 * math.sqrt(0.01 * 0.99 / N))
    assert metrics["good_points"].floor == pytest.approx(0.99, abs=0.002)
    assert metrics["mode_tv"].value < 3 * metrics["mode_tv"].floor
    assert metrics["sliced_w2"].value < 3 * metrics["sliced_w2"].floor
    assert abs(metrics["mmd2"].value) < 5 * metrics["mmd2"].se
    assert abs(metrics["energy_distance"].value) < 5 * metrics["energy_distance"].se
    assert abs(metrics["mmd2"].floor) < 1e-3
    assert abs(metrics["energy_distance"].floor) < 5e-3


@pytest.mark.parametrize(("good", "bad"), [(30, 0), (0, 30), (20, 10)])
def test_the_share_of_good_points_has_wilson_s_interval(eight: KnownDensity, good: int, bad: int) -> None:
    """At 0 and 1 too, where the normal one has no width."""
    inside = draw(eight, 200)
    inside = inside[eight.log_prob(inside) >= eight.threshold_99][:good]
    found = point_metrics(torch.cat([inside, torch.full((bad, 2), 50.0)]), eight)["good_points"]
    interval = binomtest(good, good + bad).proportion_ci(0.95, "wilson")
    assert found.se is None and found.interval == pytest.approx(tuple(interval), abs=1e-12)


@pytest.mark.parametrize(("n", "t"), [(2000, stats_t.ppf(0.975, 3)), (400, norm.ppf(0.975))])
def test_means_over_blocks_have_student_s_interval(eight: KnownDensity, n: int, t: float) -> None:
    metrics = point_metrics(draw(eight, n), eight)
    for name in ("mmd2", "energy_distance"):
        found = metrics[name]
        assert found.interval == pytest.approx((found.value - t * found.se, found.value + t * found.se), rel=1e-6)


def test_a_dropped_mode_is_seen_though_all_points_are_good(eight: KnownDensity) -> None:
    x = draw(eight)
    kept = x[eight.mode_of(x) != 3]
    metrics = point_metrics(kept, eight)
    assert metrics["modes_covered"].value == 7
    assert metrics["good_points"].value > 0.98
    assert metrics["mode_tv"].value == pytest.approx(1 / 8, abs=0.02)
    assert metrics["mmd2"].value > 5 * metrics["mmd2"].se
    assert metrics["energy_distance"].value > 3 * metrics["energy_distance"].se


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


def test_energy_distance_in_one_block_equals_brute_force() -> None:
    x, y = (torch.randn(40, 2, generator=Generator().manual_seed(i)) + i for i in (0, 1))

    def mean_distance(a: Tensor, b: Tensor, pairs: int) -> float:
        return sum(math.dist(p, q) for p in a.tolist() for q in b.tolist()) / pairs

    truth = 2 * mean_distance(x, y, 40 * 40) - mean_distance(x, x, 40 * 39) - mean_distance(y, y, 40 * 39)
    assert energy_distance(x, y).value == pytest.approx(truth, rel=1e-12)


def test_energy_distance_on_a_line_is_the_square_of_scipy_s() -> None:
    """scipy's counts each point with itself; of 500 points that adds the mean distance of a set over 500, twice."""
    x, y = (torch.randn(500, 2, generator=Generator().manual_seed(i)) * torch.tensor([1.0, 0.0]) + i for i in (0, 1))
    x[:, 1] = y[:, 1] = 0
    within = sum((a[:, :1] - a[:, 0]).abs().mean().item() for a in (x, y))
    truth = scipy_energy_distance(x[:, 0], y[:, 0]) ** 2
    assert energy_distance(x, y).value == pytest.approx(truth - within / 499, rel=1e-5)


def test_energy_distance_of_two_normals_in_closed_form() -> None:
    """|X - Y| of N(0, s^2 I) has mean s sqrt(pi / 2): in all sqrt(pi / 2) (2 sqrt(1 + 9) - sqrt(2) (1 + 3))."""
    x, y = (torch.randn(20_000, 2, generator=Generator().manual_seed(i)) for i in (0, 1))
    value, se = energy_distance(x, 3 * y)
    truth = math.sqrt(math.pi / 2) * (2 * math.sqrt(10) - 4 * math.sqrt(2))
    assert abs(value - truth) < 4 * se < 0.1


@pytest.mark.parametrize("statistic", [partial(mmd2, bandwidths=(0.5,)), energy_distance], ids=["mmd2", "energy"])
def test_the_error_of_a_mean_over_blocks_is_its_spread_over_repetitions(
    statistic: Callable[[Tensor, Tensor], tuple[float, float]],
) -> None:
    def estimate(seed: int) -> tuple[float, float]:
        x, y = (torch.randn(3000, 2, generator=Generator().manual_seed(s)) for s in (seed, 1000 + seed))
        return statistic(x + 0.2, y)

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


def test_all_points_of_a_uniform_density_are_good_ones() -> None:
    board = known_density("checkerboard")
    assert point_metrics(draw(board), board)["good_points"].expected == 1.0


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
    assert metrics["energy_distance"].value == pytest.approx(2 * math.sqrt(2) * 1e30)


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


class TestKL:
    """KL(data || model) from the likelihood of the model."""

    @staticmethod
    def of_normal(density: KnownDensity, examples: Tensor, std: float, test: Tensor | None) -> Metric | None:
        """The KL of a model that is N(0, std^2 I)."""
        loss = examples.double().square().sum(1) / (2 * std**2) + math.log(2 * math.pi * std**2)
        se = (loss.std() / math.sqrt(len(loss))).item()
        likelihood = Likelihood(value=loss.mean().item(), unit="nats", kind="exact", se=se, n=len(examples))
        return kl_from(likelihood, density, test)

    @pytest.mark.parametrize("name", ["8gaussians", "moons", "checkerboard"])
    def test_it_is_the_integral_over_the_plane(self, name: str) -> None:
        """By quadrature of p log(p / q) on a lattice."""
        density, std, side = known_density(name), 1.5, 800
        axis = (torch.arange(side, dtype=torch.float64) + 0.5) * (8 / side) - 4
        grid = torch.cartesian_prod(axis, axis)
        log_p = density.log_prob(grid)
        log_q = -grid.square().sum(1) / (2 * std**2) - math.log(2 * math.pi * std**2)
        inside = log_p.isfinite()
        truth = (log_p.exp() * (log_p - log_q))[inside].sum().item() * (8 / side) ** 2
        examples = draw(density, 10_000)
        for test in (examples, None):
            metric = self.of_normal(density, examples, std, test)
            assert abs(metric.value - truth) < 3 * metric.se + 0.005
            assert (metric.better, metric.expected) == ("lower", 0)
            assert "exact" in metric.how

    def test_the_data_s_own_density_has_none(self, eight: KnownDensity) -> None:
        """On the same examples the noise of both terms cancels; the error that is told stays a bound."""
        test = draw(eight, 500)
        loss = -eight.log_prob(test)
        likelihood = Likelihood(value=loss.mean().item(), unit="nats", kind="exact", se=0.04, n=500)
        assert kl_from(likelihood, eight, test).value == pytest.approx(0, abs=1e-12)
        assert kl_from(likelihood, eight, test).se > 0.04
        fresh = kl_from(likelihood, eight)
        assert abs(fresh.value) < 4 * fresh.se
        assert fresh.se == pytest.approx(math.hypot(0.04, loss.std().item() / math.sqrt(100_000)), rel=1e-3)

    def test_only_the_examples_of_the_likelihood_count(self, eight: KnownDensity) -> None:
        """A costly likelihood was taken of 100 of 500: the random ones of the same seed."""
        test = draw(eight, 500)
        loss = -eight.log_prob(cut(test, 100, seed=3))
        likelihood = Likelihood(value=loss.mean().item(), unit="nats", kind="estimate", n=100)
        metric = kl_from(likelihood, eight, test, seed=3)
        assert metric.value == pytest.approx(0, abs=1e-12)
        assert metric.se is None
        assert "estimate" in metric.how

    def test_without_a_likelihood_there_is_none(self, eight: KnownDensity) -> None:
        assert kl_from(Likelihood(value=None, unit="nats", kind="none", reason="a GAN"), eight) is None
        assert kl_from(Likelihood(value=3.0, unit="bits/dim", kind="exact"), eight) is None
