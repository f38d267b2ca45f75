"""Which noise goes to which example of a batch."""

import torch
from torch import Tensor


def near_optimal_transport(noise: Tensor, x: Tensor, labels: Tensor | None = None, rounds: int = 400) -> Tensor:
    """``noise`` [n, *shape] in an order in which few swaps of two would make sum_i |noise_i - x_i|^2 less.

    Pairs are drawn at random and swapped where that helps; within each class if ``labels`` [n] are given, so that the
    noise of every class stays normal.
    """
    cost = -(x.flatten(1).float() @ noise.flatten(1).float().T)  # the squares are the same in any order
    order, half = torch.arange(len(x), device=x.device), len(x) // 2
    for _ in range(rounds):
        a, b = torch.randperm(len(x), device=x.device)[: 2 * half].view(2, half)
        gain = cost[a, order[a]] + cost[b, order[b]] - cost[a, order[b]] - cost[b, order[a]]
        swaps = gain > 0 if labels is None else (gain > 0) & (labels[a] == labels[b])
        order[a], order[b] = order[b].where(swaps, order[a]), order[a].where(swaps, order[b])
    return noise[order]
