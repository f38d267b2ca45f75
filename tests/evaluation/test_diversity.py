"""Vendi score, class histograms and sliced Wasserstein distance against what they must equal."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, wasserstein_distance
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.diversity import (
    NUM_DIRECTIONS,
    class_distance,
    class_histogram,
    directions,
    expected_class_distance,
    sliced_w2,
    vendi,
)  # fmt: skip


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(p: list[float], n: int, seed: int) -> Tensor:
    """Logits [n, len(p)] of a classifier that is sure of classes drawn from ``p``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.eye(len(p))[torch.multinomial(torch.tensor(p), n, replacement=True, generator=generator)]


def brute_force_vendi(x: Tensor) -> float:
    """The definition: the n x n kernel of cosine similarities, its eigenvalues over n, exp of their entropy."""
    rows = x.double().numpy()
    norms = np.linalg.norm(rows, axis=1)
    eigenvalues = np.linalg.eigvalsh(rows @ rows.T / np.outer(norms, norms) / len(rows))
    positive = eigenvalues[eigenvalues > 1e-14]
    return math.exp(-(positive * np.log(positive)).sum())


@pytest.mark.parametrize(("n", "d"), [(300, 7), (40, 64), (64, 64), (2, 5), (50, 1)])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_vendi_equals_the_eigenvalues_of_the_whole_kernel(n: int, d: int, offset: float) -> None:
    x = normal(n, d, n + d) + offset
    assert vendi(x).value == pytest.approx(brute_force_vendi(x), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 20), d=st.integers(1, 8), seed=st.integers(0, 99), num_distinct=st.integers(1, 20))
def test_vendi_lies_between_one_and_the_number_of_distinct_rows(n: int, d: int, seed: int, num_distinct: int) -> None:
    x = normal(min(n, num_distinct), d, seed).repeat(3, 1)[:n]
    value = vendi(x).value
    assert value == pytest.approx(brute_force_vendi(x), abs=1e-9)
    assert 1 - 1e-9 <= value <= min(len(x), num_distinct, d) + 1e-9


@pytest.mark.parametrize("n", [1, 2, 9, 30])
def test_vendi_of_identical_and_of_orthogonal_rows(n: int) -> None:
    assert vendi(torch.full((n, 5), 3.0)).value == pytest.approx(1, abs=1e-9)
    assert vendi(7 * torch.eye(n)).value == pytest.approx(n, abs=1e-9)
    assert vendi(torch.eye(30)[:n]).value == pytest.approx(n, abs=1e-9)  # fewer rows than columns


def test_vendi_looks_at_directions_alone_and_not_at_their_order() -> None:
    x = normal(80, 6, 0)
    assert vendi(x * torch.linspace(0.1, 9, 80)[:, None]).value == pytest.approx(vendi(x).value, rel=1e-12)
    assert vendi(x.flip(0)).value == pytest.approx(vendi(x).value, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(500, 16), (100, 64)])
def test_the_error_of_vendi_is_its_spread_over_repetitions(n: int, d: int) -> None:
    scale = torch.linspace(0.1, 2, d)
    estimates = torch.tensor([vendi(normal(n, d, seed) * scale) for seed in range(60)])
    assert estimates[:, 1].mean() / estimates[:, 0].std() == pytest.approx(1, abs=0.35)


def test_a_row_of_zeros_has_no_direction() -> None:
    x = normal(9, 3, 0)
    x[4] = 0
    with pytest.raises(InvalidSamples, match="1 of 9 rows are zero"):
        vendi(x)
    with pytest.raises(InvalidSamples, match="NaN or infinity"):
        vendi(x / 0)


def test_class_distance_equals_brute_force() -> None:
    fake, real = normal(200, 10, 0), normal(300, 10, 1) + torch.arange(10) / 5
    shares = [[(x.argmax(1) == c).sum().item() / len(x) for c in range(10)] for x in (fake, real)]
    truth = sum(abs(f - r) for f, r in zip(*shares, strict=True)) / 2
    assert class_distance(fake, real).value == pytest.approx(truth, abs=1e-12)


def test_class_distance_at_its_ends() -> None:
    first, second = torch.eye(10)[torch.zeros(50, dtype=torch.long)], torch.eye(10)[torch.ones(50, dtype=torch.long)]
    assert class_distance(first, first) == (0, 0)
    assert class_distance(first, second).value == 1
    assert class_histogram(first).tolist() == [50, *[0] * 9]


UNEVEN = [0.02, 0.1, 0.1, 0.1, 0.2, 0.03, 0.25, 0.1, 0.05, 0.05]


@pytest.mark.parametrize(("n", "m"), [(60, 60), (1000, 1000), (100, 400)])
def test_the_expected_class_distance_is_the_mean_of_two_draws_of_one_distribution(n: int, m: int) -> None:
    pairs = [(one_hot(UNEVEN, n, 2 * i), one_hot(UNEVEN, m, 2 * i + 1)) for i in range(300)]
    found = torch.tensor([class_distance(*pair).value for pair in pairs])
    expected = torch.tensor([expected_class_distance(*pair) for pair in pairs])
    assert expected.mean() == pytest.approx(found.mean().item(), abs=4 * found.std().item() / math.sqrt(300))


def test_the_expected_class_distance_is_that_of_shuffling_the_union() -> None:
    """Exact, class by class, by the hypergeometric law."""
    fake, real = one_hot(UNEVEN, 30, 0), one_hot(UNEVEN, 45, 1)
    truth = 0.0
    for k in (class_histogram(fake) + class_histogram(real)).tolist():
        law = hypergeom(75, k, 30)
        truth += sum(law.pmf(a) * abs(a / 30 - (k - a) / 45) for a in range(k + 1)) / 2
    assert expected_class_distance(fake, real) == pytest.approx(truth, abs=1e-12)


def test_the_error_of_the_class_distance_is_its_spread_over_generated_sets() -> None:
    real = one_hot(UNEVEN, 2000, 0)
    estimates = torch.tensor([class_distance(one_hot(UNEVEN[::-1], 500, 1 + i), real) for i in range(100)])
    assert estimates[:, 1].mean() / estimates[:, 0].std() == pytest.approx(1, abs=0.25)


def brute_force_sliced_w2(x: Tensor, y: Tensor) -> float:
    """Each projection on its own: the optimal plan in one dimension matches the sorted values."""
    squares = []
    for direction in directions(x.shape[1]):
        a, b = sorted(x.double().numpy() @ direction), sorted(y.double().numpy() @ direction)
        squares.append(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)) / len(a))
    return math.sqrt(sum(squares) / len(squares))


@pytest.mark.parametrize("d", [1, 3, 40])
def test_sliced_w2_equals_brute_force(d: int) -> None:
    x, y = normal(60, d, 0) * 1.3, normal(60, d, 1) + 0.2
    assert sliced_w2(x, y) == pytest.approx(brute_force_sliced_w2(x, y), rel=1e-12)


def test_on_a_line_it_is_at_least_the_distance_of_first_order() -> None:
    """W1 <= W2, with scipy's W1; of a shift they are equal."""
    x, y = normal(90, 1, 0), 2 * normal(90, 1, 1)
    assert sliced_w2(x, y) >= wasserstein_distance(x[:, 0], y[:, 0])
    assert sliced_w2(x + 3, x) == pytest.approx(wasserstein_distance(x[:, 0] + 3, x[:, 0]), rel=1e-12)


@pytest.mark.parametrize("d", [2, 16, 64])
def test_sliced_w2_of_gaussians_in_closed_form(d: int) -> None:
    """N(s, I) against N(0, 4 I): along each direction u, (s.u)^2 + (2 - 1)^2."""
    shift = torch.linspace(0.5, 1.5, d, dtype=torch.float64)
    along = np.square(directions(d) @ shift.numpy()).mean()
    assert sliced_w2(normal(20_000, d, 0) + shift, 2 * normal(20_000, d, 1)) == pytest.approx(
        math.sqrt(along + 1), rel=0.01
    )


def test_the_directions_are_unit_vectors_spread_evenly() -> None:
    """Over the sphere the mean of u u^T is I / d; a few numbers are pinned, for every version must draw the same."""
    found = directions(6)
    assert found.shape == (NUM_DIRECTIONS, 6)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert np.allclose(found.T @ found / NUM_DIRECTIONS, np.eye(6) / 6, atol=0.03)
    assert np.abs(found.mean(0)).max() < 4 / math.sqrt(6 * NUM_DIRECTIONS)
    assert found[0, :3] == pytest.approx([0.0634159465332, -0.4739848077005, 0.6865096901513], abs=1e-12)


def test_order_changes_no_sliced_distance() -> None:
    x, y = normal(50, 4, 0), normal(50, 4, 1)
    assert sliced_w2(x.flip(0), y) == sliced_w2(x, y) == sliced_w2(y, x)


def test_sets_of_different_size_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="9 generated and 8 real rows"):
        sliced_w2(normal(9, 3, 0), normal(8, 3, 1))
    with pytest.raises(InvalidSamples, match="3 columns, real rows 4"):
        sliced_w2(normal(9, 3, 0), normal(9, 4, 1))
