"""Noise is dealt out to data: against every order that there is, and within classes."""

import itertools

import pytest
import torch

from genzoo.coupling import optimal_transport


@pytest.mark.parametrize("n", [1, 2, 6])
def test_no_order_of_the_noise_lies_nearer_to_the_data(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    noise, x = torch.randn(2, n, 3, 4, generator=generator)
    best = min(((noise[list(order)] - x) ** 2).sum().item() for order in itertools.permutations(range(n)))
    dealt = optimal_transport(noise, x)
    assert ((dealt - x) ** 2).sum().item() == pytest.approx(best, rel=1e-6)
    assert sorted(map(tuple, dealt.flatten(1).tolist())) == sorted(map(tuple, noise.flatten(1).tolist()))


def test_low_precision_of_a_training_changes_nothing() -> None:
    noise, x = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        dealt = optimal_transport(noise, x)
    assert torch.equal(dealt, optimal_transport(noise, x))


def test_noise_is_dealt_out_within_a_class_and_128_rows_at_most() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, x = torch.randn(2, 300, 2, generator=generator)
    y = torch.arange(300) % 2
    dealt = optimal_transport(noise, x, y)
    for rows in (y == 0, y == 1):
        assert torch.equal(dealt[rows].sort(0).values, noise[rows].sort(0).values)
    assert torch.equal(optimal_transport(noise, x)[:128], optimal_transport(noise[:128], x[:128]))
