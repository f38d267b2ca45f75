"""Neighbours and the kernel distance: against brute force in float64, the prdc package and torch-fidelity."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prdc import compute_prdc
from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_full

from genzoo.errors import InvalidSamples
from genzoo.evaluation import gram
from genzoo.evaluation.pairs import PairStatistics, kid, pair_statistics


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def square_distances(x: Tensor, y: Tensor) -> Tensor:
    return (x.double()[:, None] - y.double()).square().sum(2)


def brute_force(fake: Tensor, real: Tensor) -> dict[str, Tensor]:
    """What :func:`pair_statistics` should find, from whole distance matrices."""
    across, fakes, reals = (square_distances(*pair) for pair in ((real, fake), (fake, fake), (real, real)))

    def radius(square: Tensor, k: int) -> Tensor:
        return square.sort(1).values[:, k]

    inside = across < radius(reals, 5)[:, None]
    return {
        "balls_around_fakes": inside.sum(0),
        "covered": inside.any(1),
        "recalled": (across < radius(fakes, 5)).any(1),
        "precise_k3": (across <= radius(reals, 3)[:, None]).any(0),
        "recalled_k3": (across <= radius(fakes, 3)).any(1),
    }


def assert_same(found: PairStatistics, truth: dict[str, Tensor]) -> None:
    for name, value in truth.items():
        assert torch.equal(getattr(found, name), value), name


def prdc(found: PairStatistics) -> dict[str, float]:
    """The four metrics of Naeem et al. (2020)."""
    balls = found.balls_around_fakes.double()
    return {
        "precision": (balls > 0).double().mean().item(),
        "recall": found.recalled.double().mean().item(),
        "density": balls.mean().item() / 5,
        "coverage": found.covered.double().mean().item(),
    }


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(6, 40),
    m=st.integers(6, 40),
    d=st.integers(1, 4),
    top=st.sampled_from([1, 2, 5]),
    offset=st.sampled_from([0.0, 1e6, -3e5]),
    scale=st.sampled_from([1.0, 0.1, 1e-3]),
    undecided=st.sampled_from([0, 10**9]),
    elements=st.sampled_from([30, 1 << 20]),
    seed=st.integers(0, 1000),
)
def test_exact_with_ties_duplicates_offsets_and_unequal_sizes(
    n: int, m: int, d: int, top: int, offset: float, scale: float, undecided: int, elements: int, seed: int
) -> None:
    """On a coarse grid most distances are tied and many rows are duplicates; in float32 and float64, any blocks."""
    generator = torch.Generator().manual_seed(seed)
    fake, real = (scale * torch.randint(0, top + 1, (k, d), generator=generator).double() + offset for k in (n, m))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gram, "UNDECIDED_PER_ROW", undecided)
        patch.setattr(gram, "BLOCK_ELEMENTS", elements)
        assert_same(pair_statistics(fake, real), brute_force(fake, real))


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exact_on_generic_features(offset: float, dtype: torch.dtype) -> None:
    """In float32 an offset of 1e6 leaves four bits behind the point, so distances are tied there too."""
    fake, real = (normal(150, 8, 0) + offset).to(dtype), (1.2 * normal(90, 8, 1) + offset).to(dtype)
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


def test_exact_in_more_columns_than_are_multiplied_at_once() -> None:
    fake, real = normal(60, 700, 0).float(), normal(50, 700, 1).float()
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


@pytest.mark.parametrize("unit", [1e-30, 1e-12, 1e12, 1e30])
def test_exact_in_any_unit(unit: float) -> None:
    fake, real = normal(80, 4, 0) * unit, normal(90, 4, 1) * unit
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


@pytest.mark.parametrize("far", [1e4, 1e12, 1e25])
def test_a_distant_outlier_does_not_blur_the_rest(far: float) -> None:
    fake, real = normal(60, 4, 0), normal(60, 4, 1)
    fake[3] = far
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


def test_exact_where_clusters_are_far_tighter_than_apart() -> None:
    """Neighbours 1e-7 away, clusters 1 apart: float32 tells no pair of a cluster from another."""
    centres = normal(3, 5, 2)[torch.arange(300) % 3]
    fake, real = centres + 1e-7 * normal(300, 5, 0), centres[:240] + 1e-7 * normal(240, 5, 1)
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


@pytest.fixture
def bfloat16_products() -> Iterator[None]:
    """Products of float32 matrices may be rounded further, so float64 has to be used."""
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.mark.usefixtures("bfloat16_products")
def test_exact_where_float32_products_are_allowed_to_be_rounded_further() -> None:
    fake, real = normal(150, 300, 0), normal(150, 300, 1)
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


@pytest.mark.parametrize(("n", "m"), [(400, 400), (150, 500)])
def test_equals_the_prdc_package(n: int, m: int) -> None:
    fake, real = 0.9 * normal(n, 12, 0) + 0.1, normal(m, 12, 1)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    assert prdc(pair_statistics(fake, real)) == pytest.approx(truth, abs=1e-12)


def test_k3_equals_torch_fidelity() -> None:
    fake, real = normal(300, 6, 0) + 0.3, normal(250, 6, 1)
    found = pair_statistics(fake, real)
    ours = found.precise_k3.double().mean(), found.recalled_k3.double().mean()
    assert ours == pytest.approx(calculate_precision_recall_full(fake, real), abs=1e-6)


def test_a_copy_scores_one_everywhere() -> None:
    """Strictly inside a real ball with k = 5 lie the centre's own copy and the four nearest: 5 / k = 1, exactly."""
    real = normal(200, 5, 0)
    found = pair_statistics(real.clone(), real)
    assert prdc(found) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}
    assert found.precise_k3.all()
    assert found.recalled_k3.all()


def test_disjoint_sets_score_zero_everywhere() -> None:
    assert prdc(pair_statistics(normal(50, 3, 0) + 100, normal(50, 3, 1))) == {
        "precision": 0, "recall": 0, "density": 0, "coverage": 0,
    }  # fmt: skip


def test_a_dropped_mode_lowers_recall_and_not_precision() -> None:
    shift = torch.arange(400)[:, None] % 2 * 20.0
    real = normal(400, 3, 0) + shift
    whole = prdc(pair_statistics(normal(400, 3, 1) + shift, real))
    dropped = prdc(pair_statistics(normal(400, 3, 1), real))
    assert dropped["precision"] >= whole["precision"] - 0.02
    assert dropped["recall"] < 0.6 * whole["recall"]
    assert dropped["coverage"] < 0.6 * whole["coverage"]


def test_exact_where_each_panel_of_rows_is_nearer_than_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was among the nearest has to give way, panel after panel."""
    monkeypatch.setattr(gram, "BLOCK_ELEMENTS", 100)
    fake, real = torch.arange(150.0)[:, None].sqrt() * torch.ones(3), torch.arange(140.0)[:, None] * torch.ones(3) / 12
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


def test_a_set_of_equal_rows_is_exact() -> None:
    same = torch.full((60, 4), 0.1)
    assert_same(pair_statistics(same, same[:40] + 0.2), brute_force(same, same[:40] + 0.2))
    assert_same(pair_statistics(same, same[:40]), brute_force(same, same[:40]))


@pytest.mark.parametrize("num_distinct", [1, 2, 9])
def test_collapsed_fakes_are_exact(num_distinct: int) -> None:
    """Distances of nought, whose Gram form is a little above or below it."""
    real = normal(80, 50, 0) * 37.7
    fake = real[:num_distinct].repeat(40, 1)
    assert_same(pair_statistics(fake, real), brute_force(fake, real))


def test_blocks_change_nothing_and_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    fake, real = normal(70, 3, 0).round(decimals=1), normal(55, 3, 1).round(decimals=1)
    whole = pair_statistics(fake, real)
    monkeypatch.setattr(gram, "BLOCK_ELEMENTS", 300)
    monkeypatch.setattr(gram, "FEWEST_ROWS", 1)
    monkeypatch.setattr(gram, "CHUNK_ELEMENTS", 7)
    assert_same(pair_statistics(fake, real), {name: getattr(whole, name) for name in brute_force(fake, real)})
    assert kid(fake, real) == pytest.approx(whole.kernel_sums.mmd2(), rel=1e-6)
    points, others = gram.Frame((fake, real)).points()
    blocks = list(gram.Gram(points, others, torch.float32).blocks())
    assert len(blocks) > 10
    assert max(block.product.numel() for block in blocks) <= 300


def brute_force_kid(fake: Tensor, real: Tensor) -> float:
    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def off_diagonal_mean(k: Tensor) -> Tensor:
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    within = off_diagonal_mean(kernel(fake, fake)) + off_diagonal_mean(kernel(real, real))
    return (within - 2 * kernel(fake, real).mean()).item()


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e3])
@pytest.mark.parametrize(("n", "m", "d"), [(60, 60, 7), (40, 90, 7), (1500, 1200, 64), (500, 600, 300)])
def test_kid_equals_brute_force_to_a_millionth_of_its_error(n: int, m: int, d: int, offset: float) -> None:
    fake, real = normal(n, d, 0) + 0.1 + offset, normal(m, d, 1) + offset
    found, truth = kid(fake, real), brute_force_kid(fake, real)
    rounding_of_the_truth = 1e-13 * (1 + offset**2) ** 3
    assert abs(found.value - truth) < 1e-6 * found.se + rounding_of_the_truth


@pytest.mark.parametrize(("n", "m"), [(60, 60), (40, 90)])
@pytest.mark.usefixtures("bfloat16_products")
def test_kid_in_float64_equals_brute_force(n: int, m: int) -> None:
    fake, real = normal(n, 7, 0) + 0.5, normal(m, 7, 1) - 2
    assert kid(fake, real).value == pytest.approx(brute_force_kid(fake, real), rel=1e-11)


def test_kid_equals_torch_fidelity_on_all_rows() -> None:
    fake, real = normal(200, 10, 0) + 0.2, normal(200, 10, 1)
    truth = kid_features_to_metric(fake, real, kid_subsets=1, kid_subset_size=200, verbose=False)
    assert kid(fake, real).value == pytest.approx(truth[KEY_METRIC_KID_MEAN], rel=1e-7)


def test_the_error_of_kid_deletes_each_row_of_either_set() -> None:
    fake, real = normal(8, 3, 0), normal(10, 3, 1)

    def spread(values: list[float]) -> float:
        return (len(values) - 1) * float(np.var(values))

    without_fakes = [brute_force_kid(fake[torch.arange(8) != i], real) for i in range(8)]
    without_reals = [brute_force_kid(fake, real[torch.arange(10) != i]) for i in range(10)]
    assert kid(fake, real).se == pytest.approx((spread(without_fakes) + spread(without_reals)) ** 0.5, rel=1e-7)


def test_the_error_of_kid_is_its_spread_over_repetitions() -> None:
    estimates = torch.tensor([kid(normal(150, 4, i) + 0.4, normal(150, 4, 500 + i)) for i in range(60)])
    assert estimates[:, 1].mean() / estimates[:, 0].std() == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize(
    ("fake", "real", "message"),
    [
        (torch.zeros(5, 3), torch.zeros(9, 3), "generated set has 5 rows; it needs at least 6"),
        (torch.zeros(9, 3), torch.zeros(1, 3), "real set has 1 rows"),
        (torch.zeros(9, 3), torch.full((9, 3), torch.nan), "9 of 9 rows of the real set hold NaN or infinity"),
        (torch.tensor([[torch.inf]] + [[0.0]] * 8), torch.zeros(9, 1), "1 of 9 rows of the generated set"),
        (torch.zeros(9, 3), torch.zeros(9, 4), "generated rows have 3 columns, real rows 4"),
        (torch.zeros(9), torch.zeros(9, 1), r"generated set has shape \(9,\)"),
    ],
)
def test_unusable_input_is_told_in_one_line(fake: Tensor, real: Tensor, message: str) -> None:
    with pytest.raises(InvalidSamples, match=message) as error:
        pair_statistics(fake, real)
    assert "\n" not in str(error.value)
