"""The built-in densities: normalised, at unit scale, and what their draws follow."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Generator, Tensor

from genzoo.capabilities import Density, as_score
from genzoo.data.laws import Checkerboard, Mixture, Rings
from genzoo.data.points import LAWS, PointDensity, density

N = 20_000


@cache
def quadrature(name: str) -> tuple[PointDensity, Tensor, Tensor, Tensor]:
    """The density, the midpoints of a grid over the plane [m, 2], log p there, and the cells' masses.

    Steps of one noise width integrate a Gaussian to 5e-9 (trapezoidal rule); steps that divide the checkerboard's
    squares integrate it exactly.
    """
    law = density(name)
    step = law.width / (10 if name == "checkerboard" else 1)
    half = math.ceil(3.3 / step)
    axis = (torch.arange(-half, half, dtype=torch.float64) + 0.5) * step
    grid = torch.cartesian_prod(axis, axis)
    log_prob = law.log_prob(grid)
    return law, grid, log_prob, log_prob.exp() * step**2


@cache
def draws(name: str) -> Tensor:
    return density(name).sample(N, Generator().manual_seed(7))


@pytest.mark.parametrize("name", LAWS)
def test_it_integrates_to_one(name: str) -> None:
    _, _, _, mass = quadrature(name)
    assert mass.sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_it_stands_at_unit_scale(name: str) -> None:
    _, grid, _, mass = quadrature(name)
    assert (mass @ grid).abs().max() < 1e-6
    tolerance = 2e-3 if name == "checkerboard" else 1e-6  # midpoints miss h^2 / 12 of a uniform's variance
    assert (mass @ grid.square()).mean().item() == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_its_entropy(name: str) -> None:
    law, _, log_prob, mass = quadrature(name)
    negative_entropy = (mass * log_prob).nan_to_num().sum().item()  # 0 log 0 = 0
    values = law.log_prob(draws(name))
    assert values.mean().item() == pytest.approx(negative_entropy, abs=4 * values.std().item() / N**0.5 + 1e-6)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("axis", [0, 1])
def test_draws_follow_its_marginals(name: str, axis: int) -> None:
    """Kolmogorov-Smirnov, at the edges of the grid's cells: sqrt(n) D exceeds 1.95 once in a thousand."""
    _, grid, _, mass = quadrature(name)
    side = int(len(grid) ** 0.5)
    cumulative = mass.reshape(side, side).sum(1 - axis).cumsum(0)
    centres = grid[:, axis].unique()
    edges = centres + (centres[1] - centres[0]) / 2
    empirical = torch.searchsorted(draws(name)[:, axis].double().sort().values, edges) / N
    assert (empirical - cumulative).abs().max().item() * N**0.5 < 1.95


@pytest.mark.parametrize("name", LAWS)
def test_draws_fall_into_the_modes_by_their_weights(name: str) -> None:
    law = density(name)
    counts = torch.bincount(law.mode_of(draws(name)), minlength=law.num_modes)
    expected = N * law.mode_weights
    assert law.mode_weights.sum().item() == pytest.approx(1)
    assert ((counts - expected).abs() < 4 * (expected * (1 - law.mode_weights)).sqrt() + 50).all()


@pytest.mark.parametrize("name", LAWS)
def test_the_threshold_holds_99_percent_of_fresh_draws(name: str) -> None:
    law = density(name)
    share = (law.log_prob(draws(name)) >= law.threshold_99).double().mean().item()
    assert share == pytest.approx(1.0 if name == "checkerboard" else 0.99, abs=4 * (0.0099 / N) ** 0.5 + 0.0012)
    if name != "spirals":  # which takes a second
        assert PointDensity(name, LAWS[name]()).threshold_99 == law.threshold_99


@pytest.mark.parametrize("name", LAWS)
def test_far_away_is_not_good(name: str) -> None:
    law = density(name)
    assert (law.log_prob(torch.tensor([[5.0, 5.0], [-30.0, 1.0]])) < law.threshold_99).all()


@pytest.mark.parametrize("name", LAWS)
def test_draws_come_from_the_generator_alone(name: str) -> None:
    law, before = density(name), torch.get_rng_state()
    first, second = (law.sample(10, Generator().manual_seed(3)) for _ in range(2))
    assert first.dtype == torch.float32 and first.shape == (10, 2)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_a_mixture_is_the_mean_of_its_gaussians() -> None:
    law = Mixture(torch.tensor([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]]).double(), 0.7, torch.arange(3))
    x = torch.randn(50, 2, dtype=torch.float64, generator=Generator().manual_seed(0))
    terms = [torch.distributions.Normal(centre, 0.7).log_prob(x).sum(1).exp() for centre in law.centres]
    assert torch.allclose(law.log_prob(x), torch.stack(terms).mean(0).log(), rtol=1e-12)


def test_rings_are_a_mixture_of_gaussians_all_around() -> None:
    rings = Rings(torch.tensor([0.5, 1.0]).double(), 0.2)
    angle = torch.arange(400, dtype=torch.float64) * 2 * math.pi / 400
    centres = torch.cat([radius * torch.stack([angle.cos(), angle.sin()], 1) for radius in rings.radii])
    x = torch.randn(50, 2, dtype=torch.float64, generator=Generator().manual_seed(0))
    dense = Mixture(centres, 0.2, torch.zeros(800, dtype=torch.int64))
    assert torch.allclose(rings.log_prob(x), dense.log_prob(x), rtol=1e-10)
    assert torch.isfinite(rings.log_prob(torch.zeros(1, 2, dtype=torch.float64))).all()


def test_no_draw_of_the_checkerboard_is_rounded_out_of_its_square() -> None:
    law = density("checkerboard")
    assert law.log_prob(law.sample(200_000, Generator().manual_seed(0))).isfinite().all()
    assert law.log_prob(torch.zeros(1, 2) + torch.tensor([0.1, 0.1])).item() == pytest.approx(-math.log(6), abs=1e-9)
    assert law.log_prob(torch.tensor([[0.1, -0.1]])).item() == -math.inf


def test_a_point_beside_the_board_belongs_to_the_nearest_square() -> None:
    board = Checkerboard(torch.tensor([[0.0, 0.0], [4.0, 0.0]]).double(), 1.0)
    assert board.mode_of(torch.tensor([[1.9, 0.0], [2.1, 0.0], [4.0, 9.0]]).double()).tolist() == [0, 1, 1]


def test_the_eight_gaussians_are_twelve_standard_deviations_apart() -> None:
    law = density("8gaussians")
    assert law.modes is not None and law.mode_std is not None
    distance = (law.modes[0] - law.modes[1]).norm().item()
    assert distance / law.mode_std == pytest.approx(10 * math.sin(math.pi / 8) / math.sqrt(0.1), rel=1e-5)
    assert torch.equal(law.mode_of(law.modes), torch.arange(8))


def test_only_gaussians_have_centres() -> None:
    assert [name for name in LAWS if density(name).modes is not None] == ["8gaussians", "25gaussians"]
    assert density("moons").mode_std is None
    assert [density(name).num_modes for name in ("rings", "moons", "checkerboard", "spirals")] == [4, 2, 8, 2]


def test_raw_points_are_had_back_by_shift_and_scale() -> None:
    law = density("moons")
    raw = draws("moons").double() * law.scale + torch.tensor(law.shift)
    assert law.shift[0] == pytest.approx(0.5) and law.shift[1] == pytest.approx(0.25)
    change_of_variables = law.law.log_prob(raw) + 2 * math.log(law.scale)
    assert torch.allclose(law.log_prob(draws("moons")), change_of_variables, atol=1e-4)


@pytest.mark.parametrize("name", ["8gaussians", "rings"])
def test_it_is_itself_a_model_with_a_score(name: str) -> None:
    law = density(name)
    assert isinstance(law, Density)
    x, step = draws(name)[:20].double(), 1e-5
    east = torch.tensor([step, 0.0], dtype=torch.float64)
    slope = (law.log_prob(x + east) - law.log_prob(x - east)) / (2 * step)
    assert torch.allclose(as_score(law).score(x)[:, 0], slope, rtol=1e-4, atol=1e-4)


def test_bandwidths_span_from_a_mode_to_the_whole() -> None:
    for name in LAWS:
        narrow, between, wide = density(name).bandwidths
        assert narrow == density(name).width and wide == 1 and between**2 == pytest.approx(narrow * wide)


def test_the_recipe_tells_one_definition_from_another() -> None:
    law = density("8gaussians")
    other = PointDensity("8gaussians", replace(law.law, width=0.3))
    assert law.recipe() == PointDensity("8gaussians", LAWS["8gaussians"]()).recipe() != other.recipe()
    assert len({str(density(name).recipe()) for name in LAWS}) == len(LAWS)
