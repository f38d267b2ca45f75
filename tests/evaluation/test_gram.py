"""Blocks of the Gram matrix: how wrong an approximate distance can be, and that exact ones are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genzoo.evaluation import gram
from genzoo.evaluation.gram import Block, Frame, Gram, Pairs


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_block(x: Tensor, y: Tensor, dtype: torch.dtype = torch.float32) -> Block:
    points, others = Frame((x, y)).points()
    (block,) = Gram(points, others, dtype).blocks()
    return block


def square_distances(x: Tensor, y: Tensor) -> Tensor:
    return (x[:, None] - y).square().sum(2)


@settings(max_examples=40, deadline=None)
@given(
    d=st.sampled_from([1, 3, 64, 300, 1100]),
    spread=st.sampled_from([0.0, 2.0, 6.0]),
    offset=st.sampled_from([0.0, 1e5]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 1000),
)
def test_an_approximate_distance_is_within_its_bound(
    d: int, spread: float, offset: float, dtype: torch.dtype, seed: int
) -> None:
    """Also where some rows are millions of times longer than others."""
    x, y = (normal(9, d, seed + i) * 10 ** (spread * normal(9, 1, seed + 2 + i)) + offset for i in range(2))
    block = one_block(x, y, dtype)
    frame, others = block.gram.x.frame, block.gram.y
    approximate = block.product.double() + block.norms + others.norms
    error = (approximate - square_distances(x, y) * frame.scale**2).abs()
    allowed = block.slack + block.gram.slack.double()
    float64_rounding = 1e-14 * (block.norms + others.norms)
    assert (error <= allowed + float64_rounding).all()


def test_no_row_of_a_frame_is_longer_than_1() -> None:
    for unit in (1e-100, 1e-3, 1e5, 1e150):
        block = one_block(normal(8, 5, 0) * unit, normal(8, 5, 1) * unit)
        assert 0.01 < block.norms.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_columns", [7, 64, 200, 4097])
def test_candidates_hold_the_nearest(num_columns: int, dtype: torch.dtype) -> None:
    """Whatever the number of columns leaves over when they are grouped."""
    x, y = normal(20, 3, 0), normal(num_columns, 3, 1)
    squares, columns = one_block(x, y, dtype).candidates(5, exclude_self=False)
    truth = square_distances(x, y)
    assert torch.equal(squares.sort(1).values[:, :5], truth.sort(1).values[:, :5])
    there = columns >= 0
    assert torch.equal(truth.gather(1, columns.clamp(min=0))[there], squares[there])


def test_exact_distances_are_of_the_features_as_they_are() -> None:
    x = normal(6, 4, 0).float().double() + 1e6
    pairs = Pairs(torch.tensor([0, 0, 5]), torch.tensor([0, 3, 2]))
    assert torch.equal(one_block(x, x).exact(pairs), square_distances(x, x)[pairs])


def test_float64_is_tried_where_float32_decides_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gram, "UNDECIDED_PER_ROW", 0)
    points, others = Frame((normal(9, 2, 0), normal(9, 2, 1))).points()
    tried = []

    def nearest(dtype: torch.dtype) -> None:
        tried.append(dtype)
        for block in Gram(points, others, dtype).blocks():
            block.candidates(1, exclude_self=False)

    gram.scan(nearest)
    assert tried == [torch.float32, torch.float64]
