"""Nearest neighbours and what they say of copying: against brute force, scipy, and known answers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation import gram
from genzoo.evaluation.memorisation import Nearest, mann_whitney_z, memorisation, nearest


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def square_distances(x: Tensor, y: Tensor) -> Tensor:
    return (x.double()[:, None] - y.double()).square().sum(2)


def first_smallest(square: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest of each row and the first column where it stands."""
    smallest = square.amin(1, keepdim=True)
    columns = torch.arange(square.shape[1]).where(square == smallest, square.shape[1])
    return smallest[:, 0], columns.amin(1)


def assert_equal(found: Nearest, truth: tuple[Tensor, Tensor]) -> None:
    assert torch.equal(found.square_distance, truth[0])
    assert torch.equal(found.index, truth[1])


def brute_force_auth_pct(fake: Tensor, train: Tensor) -> float:
    """Of all distance matrices, as Alaa et al. (2022) define it."""
    to_train, index = first_smallest(square_distances(fake, train))
    own = square_distances(train, train).fill_diagonal_(torch.inf).amin(1)
    return (to_train > own[index]).double().mean().item()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30),
    m=st.integers(2, 30),
    d=st.integers(1, 4),
    top=st.sampled_from([1, 3]),
    offset=st.sampled_from([0.0, 1e6]),
    seed=st.integers(0, 1000),
)
def test_nearest_is_exact_with_ties_duplicates_and_offsets(
    n: int, m: int, d: int, top: int, offset: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = (0.1 * torch.randint(0, top + 1, (k, d), generator=generator).double() + offset for k in (n, m))
    assert_equal(nearest(x, y), first_smallest(square_distances(x, y)))


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("block", [50, 1 << 20])
def test_nearest_is_exact_on_generic_features(monkeypatch: pytest.MonkeyPatch, offset: float, block: int) -> None:
    monkeypatch.setattr(gram, "BLOCK_ELEMENTS", block)
    x, y = normal(170, 9, 0).float() + offset, normal(300, 9, 1).float() + offset
    assert_equal(nearest(x, y), first_smallest(square_distances(x, y)))


def test_no_row_is_its_own_neighbour_unless_it_is_there_twice() -> None:
    x = normal(40, 3, 0)
    x[7] = x[31]
    found = nearest(x, x, exclude_self=True)
    assert_equal(found, first_smallest(square_distances(x, x).fill_diagonal_(torch.inf)))
    assert (found.index[7], found.index[31]) == (31, 7)
    assert found.square_distance[7] == 0


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 25), m=st.integers(2, 25), num_train=st.integers(2, 25), seed=st.integers(0, 1000))
def test_auth_pct_equals_brute_force(n: int, m: int, num_train: int, seed: int) -> None:
    fake, real, train = normal(n, 2, seed), normal(m, 2, seed + 1), normal(num_train, 2, seed + 2)
    found = memorisation(fake, real, train)
    assert found.auth_pct == brute_force_auth_pct(fake, train)
    assert found.expected_auth_pct == brute_force_auth_pct(real, train)


def test_only_training_rows_near_a_fake_are_asked_for_their_neighbours_and_against_all() -> None:
    """Two fakes beside the last of three training rows, whose nearest other is the first."""
    train, real = torch.tensor([[0.0], [100.0], [3.0]]), torch.tensor([[1.0], [2.0]])
    assert memorisation(torch.tensor([[4.0], [7.0]]), real, train).auth_pct == 0.5


def test_a_copier_is_caught_and_fresh_draws_are_not() -> None:
    train, real, fresh = normal(1500, 4, 0), normal(800, 4, 1), normal(800, 4, 2)
    honest, copier = memorisation(fresh, real, train), memorisation(train[:800] + 1e-4, real, train)
    assert honest.auth_pct == pytest.approx(honest.expected_auth_pct, abs=0.08)
    assert honest.copy_rate < 0.03
    assert abs(honest.mann_whitney_z) < 4
    assert (copier.auth_pct, copier.copy_rate) == (0, 1)
    assert copier.mann_whitney_z < -30


def test_one_copy_in_ten_is_the_copy_rate() -> None:
    """Of a perfect model's fakes one in a hundred is as near, so the rate is 0.1 + 0.9 * 0.01."""
    train, real, fake = normal(3000, 3, 0), normal(2000, 3, 1), normal(2000, 3, 2)
    fake[::10] = train[:200]
    assert memorisation(fake, real, train).copy_rate == pytest.approx(0.109, abs=0.01)


def test_far_samples_are_authentic_and_have_a_positive_z() -> None:
    found = memorisation(normal(200, 3, 0) + 50, normal(200, 3, 1), normal(400, 3, 2))
    assert (found.auth_pct, found.copy_rate) == (1, 0)
    assert found.mann_whitney_z > 10


@settings(max_examples=40, deadline=None)
@given(
    x=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    y=st.lists(st.integers(0, 6), min_size=1, max_size=30),
)
def test_z_equals_scipy_with_ties(x: list[int], y: list[int]) -> None:
    if len(set(x + y)) == 1:
        assert mann_whitney_z(torch.tensor(x), torch.tensor(y)) == 0
        return
    truth = mannwhitneyu(x, y, method="asymptotic", use_continuity=False, alternative="less")
    z = mann_whitney_z(torch.tensor(x), torch.tensor(y))
    below = torch.special.ndtr(torch.tensor(z, dtype=torch.float64)).item()
    assert below == pytest.approx(truth.pvalue, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("fake", "real", "train", "message"),
    [
        (torch.zeros(0, 2), torch.zeros(3, 2), torch.zeros(3, 2), "generated set has 0 rows; it needs at least 1"),
        (torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(1, 2), "training set has 1 rows; it needs at least 2"),
        (torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(3, 4), "training rows have 4 columns, real rows 2"),
        (torch.zeros(3, 2), torch.zeros(3, 2), torch.full((3, 2), torch.nan), "3 of 3 rows of the training set hold"),
    ],
)
def test_unusable_input_is_told_in_one_line(fake: Tensor, real: Tensor, train: Tensor, message: str) -> None:
    with pytest.raises(InvalidSamples, match=message) as error:
        memorisation(fake, real, train)
    assert "\n" not in str(error.value)


def test_one_row_has_no_other() -> None:
    with pytest.raises(InvalidSamples, match="1 rows have no neighbours among 1: give at least 2"):
        nearest(torch.zeros(1, 2), torch.zeros(1, 2), exclude_self=True)
