"""The rows no model made."""

import pytest
import torch

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import subset
from genzoo.evaluation.references import gaussian


def test_the_gaussian_has_the_mean_and_covariance_of_the_data() -> None:
    generator = torch.Generator().manual_seed(0)
    train = torch.randn(500, 3, generator=generator) @ torch.randn(3, 3, generator=generator) + 2
    drawn = gaussian(train, 200_000, seed=1)
    assert torch.allclose(drawn.mean(0), train.mean(0), atol=0.03)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(train.T), atol=0.08)


def test_fewer_images_than_pixels_and_dead_pixels_are_no_obstacle() -> None:
    train = torch.rand(10, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    train[:, :, 0] = -1
    drawn = gaussian(train, 5000, seed=0)
    assert drawn.shape == (5000, 1, 6, 6)
    assert torch.equal(drawn[:, :, 0], torch.full((5000, 1, 6), -1.0))
    assert torch.allclose(drawn.var(0), train.var(0), atol=0.02)


@pytest.mark.parametrize("num_rows", [30, 300])
def test_both_roots_draw_the_same_law(num_rows: int) -> None:
    """36 pixels: fewer examples than that go another way than more."""
    train = torch.randn(num_rows, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    drawn = gaussian(train, 20_000, seed=0)
    assert torch.allclose(torch.cov(drawn.flatten(1).T), torch.cov(train.flatten(1).T), atol=0.12)


def test_the_seed_decides() -> None:
    train = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(gaussian(train, 7, seed=3), gaussian(train, 7, seed=3))
    assert not torch.equal(gaussian(train, 7, seed=3), gaussian(train, 7, seed=4))


def test_nothing_to_fit_is_told() -> None:
    with pytest.raises(InvalidSamples, match="these are 1"):
        gaussian(torch.zeros(1, 2), 3, seed=0)


def test_a_subset_is_distinct_ordered_and_fixed() -> None:
    rows = subset(1297, 500, seed=0)
    assert len(set(rows.tolist())) == 500
    assert torch.equal(rows, rows.sort().values)
    assert torch.equal(rows, subset(1297, 500, seed=0))
    assert not torch.equal(rows, subset(1297, 500, seed=1))
    assert torch.equal(subset(5, 500, seed=0), torch.arange(5))
