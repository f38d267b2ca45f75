"""The optimal transport of a batch of noise to a batch of data: an assignment problem, solved exactly."""

import numpy as np
import torch
from torch import Tensor

ROWS_AT_ONCE = 128
"""Of a larger batch so many rows are coupled at a time: the work grows as their third power."""
PHASES, ROUNDS, FIRST_STEP, SHRINK = 5, 15, 1 / 8, 1 / 5


def optimal_transport(noise: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
    """``noise`` [n, ...] in the order that makes sum |noise_i - x_i|^2 least; within each class if ``y`` [n] is given.

    What is dealt out within a class keeps the noise of every class normal. At most 128 rows are coupled at a time.
    """
    every = torch.arange(len(x))
    classes = [every] if y is None else [every[(y == label).cpu()] for label in y.unique()]
    dealt = torch.empty_like(noise)
    for rows in (part.to(x.device) for members in classes for part in members.split(ROWS_AT_ONCE)):
        cost = -(x[rows].flatten(1).float() @ noise[rows].flatten(1).float().T)  # the squares are the same in any order
        dealt[rows] = noise[rows[torch.from_numpy(assignment(cost.cpu().numpy())).to(rows.device)]]
    return dealt


def assignment(cost: np.ndarray) -> np.ndarray:
    """The permutation p that makes sum_i cost[i, p(i)] least, [n] int64, of finite costs [n, n].

    Prices from a short auction give many rows a cheapest column of their own; every other row takes the shortest
    augmenting path, which keeps the assignment optimal for the rows that have a column.

    References: A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems (Jonker and
    Volgenant, 1987); The Auction Algorithm (Bertsekas, 1988).
    """
    cost = cost.astype(np.float64)
    prices = _auction(cost)
    column_of, row_of = _cheapest(cost + prices)
    for row in np.flatnonzero(column_of < 0):
        _augment(cost, prices, column_of, row_of, int(row))
    return column_of


def _auction(cost: np.ndarray) -> np.ndarray:
    """Prices of the columns, [n], from bids that rise by ever smaller steps: near those of the optimum."""
    n, prices = len(cost), np.zeros(len(cost))
    step = FIRST_STEP * (cost.max() - cost.min())
    for _ in range(PHASES if n > 1 else 0):
        column_of, row_of = np.full(n, -1), np.full(n, -1)
        for _ in range(ROUNDS):
            if not _bid(cost, prices, column_of, row_of, step):
                break
        step *= SHRINK
    return prices


def _bid(cost: np.ndarray, prices: np.ndarray, column_of: np.ndarray, row_of: np.ndarray, step: float) -> bool:
    """Every row without a column bids for its cheapest what that is worth to it; False when all rows have one."""
    free = np.flatnonzero(column_of < 0)
    if not len(free):
        return False
    values, each = cost[free] + prices, np.arange(len(free))
    best = values.argmin(1)
    lowest = values[each, best]
    values[each, best] = np.inf
    bids = values.min(1) - lowest + step
    order = np.argsort(bids)  # of the bids for one column the highest is written last
    rise, winner = np.zeros(len(prices)), np.full(len(prices), -1)
    rise[best[order]], winner[best[order]] = bids[order], free[order]
    sold = np.flatnonzero(winner >= 0)
    column_of[row_of[sold][row_of[sold] >= 0]] = -1
    row_of[sold], column_of[winner[sold]] = winner[sold], sold
    prices += rise
    return True


def _cheapest(reduced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every row its cheapest column, -1 where another row has it; of every column its row, -1 where none has."""
    row_of, column_of = np.full(len(reduced), -1), np.full(len(reduced), -1)
    row_of[reduced.argmin(1)] = np.arange(len(reduced))
    taken = np.flatnonzero(row_of >= 0)
    column_of[row_of[taken]] = taken
    return column_of, row_of


def _augment(cost: np.ndarray, prices: np.ndarray, column_of: np.ndarray, row_of: np.ndarray, start: int) -> None:
    """The shortest path from a free row to a free column in reduced costs; then the prices and the swaps along it."""
    distance, via = cost[start] + prices, np.full(len(cost), start)
    passed = np.zeros(len(cost), dtype=bool)
    while row_of[column := int(np.where(passed, np.inf, distance).argmin())] >= 0:
        passed[column], row = True, row_of[column]
        through = distance[column] + (cost[row] + prices) - (cost[row, column] + prices[column])
        shorter = (through < distance) & ~passed
        distance[shorter], via[shorter] = through[shorter], row
    prices[passed] += distance[column] - distance[passed]
    while column >= 0:
        row = via[column]
        row_of[column] = row
        column, column_of[row] = column_of[row], column
