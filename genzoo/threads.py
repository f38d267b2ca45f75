"""How many processor threads share one operation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

SHARED_FROM = 16_384


@contextmanager
def threads_for(numbers: int) -> Iterator[None]:
    """One thread while batches hold fewer than 16,384 numbers, else as many as torch has.

    The operations of a small net are too short to share: two threads gain a third on an idle machine, and on a busy one
    they wait for each other forty times longer than they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if numbers < SHARED_FROM else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
