"""The stream of batches: every row once an epoch, in an order that is a function of the seed and the position."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import Rows, config

from genzoo.batches import Batches
from genzoo.protocols import Batch

CPU = torch.device("cpu")


def stream(n: int, size: int, *, seed: int = 0, rank: int = 0, world: int = 1) -> Batches:
    process = SimpleNamespace(process_index=rank, num_processes=world, device=CPU)
    return Batches(Rows(torch.arange(n)), config(batch_size=size, seed=seed), process)


def rows(batches: Batches, count: int) -> list[int]:
    return torch.cat([next(batches).x for _ in range(count)]).tolist()


@given(n=st.integers(1, 40), size=st.integers(1, 60), count=st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_batches_cut_an_endless_row_of_permutations(n: int, size: int, count: int) -> None:
    taken = rows(stream(n, size), count)
    assert len(taken) == count * size
    epochs = [taken[start : start + n] for start in range(0, len(taken), n)]
    assert all(sorted(epoch) == list(range(n)) for epoch in epochs[:-1])
    assert len(set(epochs[-1])) == len(epochs[-1])


@given(n=st.integers(1, 40), size=st.integers(1, 60), number=st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_a_batch_is_a_function_of_its_number_alone(n: int, size: int, number: int) -> None:
    straight, resumed = stream(n, size), stream(n, size)
    rows(straight, number + 1)
    resumed.drawn = number + 1
    assert torch.equal(next(straight).x, next(resumed).x)
    assert resumed.drawn == number + 2


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    taken = rows(stream(100, 50), 4)
    assert taken[:100] != taken[100:]
    assert taken != rows(stream(100, 50, seed=1), 4)
    assert taken == rows(stream(100, 50), 4)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_out_each_batch_between_them(world: int) -> None:
    whole = stream(20, 6)
    parts = [stream(20, 6, rank=rank, world=world) for rank in range(world)]
    for number in range(7):
        shares = [next(part).x.tolist() for part in parts]
        assert {len(share) for share in shares} == {6 // world}
        assert sorted(row for share in shares for row in share) == sorted(whole.whole(number).x.tolist())


def test_looking_at_a_whole_batch_draws_nothing() -> None:
    batches = stream(20, 6, rank=1, world=2)
    assert len(batches.whole(0)) == 6
    assert batches.drawn == 0


@pytest.mark.parametrize("size", [6, 50])
def test_there_is_a_batch_before_the_first(size: int) -> None:
    before = stream(20, size).whole(-1).x.tolist()
    assert len(before) == size and before != stream(20, size).whole(0).x.tolist()
    assert set(before) <= set(range(20))


def test_labels_go_with_their_rows() -> None:
    class Labelled(Rows):
        def batch(self, indices: torch.Tensor) -> Batch:
            return Batch(self.x[indices], -self.x[indices])

    process = SimpleNamespace(process_index=0, num_processes=1, device=CPU)
    batch = next(Batches(Labelled(torch.arange(10)), config(), process))
    assert torch.equal(batch.y, -batch.x)
