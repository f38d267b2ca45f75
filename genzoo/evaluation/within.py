"""The nearest others of each row of a set, from half of its Gram matrix: a tile serves its rows and its columns."""

import torch
from torch import Tensor

from genzoo.evaluation import gram
from genzoo.evaluation.gram import Block, Pairs, TooManyUndecided, side_by_side


class NearestOthers:
    """Of some rows, out of blocks of these rows and different columns, added one after another.

    ``bounds`` [b, k] are the smallest group minima of lower bounds so far; they are of different others, so the k-th
    smallest lower bound is not above them. ``pairs`` are those whose ``lower`` bound is within the limit that follows.
    It only falls, so none of the k nearest is let go; what is left is computed exactly, into ``squares`` [b, k].
    """

    def __init__(self, block: Block, k: int) -> None:
        self.bounds = block.product.new_full((len(block.product), k), torch.inf)
        self.squares = self.bounds.double()
        self._forget_pairs()

    def _forget_pairs(self) -> None:
        self.lower = self.bounds[:0, 0]
        self.pairs = Pairs(self.lower.long(), self.lower.long())

    def add(self, block: Block) -> None:
        """Raise if too many pairs are left in float32; in float64 they are computed now."""
        lower, minima = block.lower_bounds(exclude_self=True)
        self.bounds = torch.cat([self.bounds, minima], 1).topk(self.bounds.shape[1], largest=False).values
        limits = block.limits(self.bounds.amax(1, keepdim=True))
        limits.masked_fill_(self.squares.amax(1, keepdim=True) == 0, -torch.inf)  # nothing is nearer than k copies
        found = block.at_most(lower, minima, limits)
        self._add_pairs(found._replace(j=found.j + block.columns.start), lower[found], limits)
        if len(self.lower) > gram.UNDECIDED_PER_ROW * len(limits):
            if lower.dtype == torch.float32:
                raise TooManyUndecided
            self.settle(block)

    def _add_pairs(self, found: Pairs, lower: Tensor, limits: Tensor) -> None:
        """Keep what is within the limits of these and of those before."""
        i, j, lower = (torch.cat(parts) for parts in zip((*self.pairs, self.lower), (*found, lower), strict=True))
        kept = lower <= limits[i, 0]
        self.pairs, self.lower = Pairs(i[kept], j[kept]), lower[kept]

    def settle(self, block: Block) -> Tensor:
        """``squares`` of all blocks so far, of which this is one."""
        order = self.pairs.i.argsort(stable=True)
        pairs = Pairs(self.pairs.i[order], self.pairs.j[order])
        squares, _ = side_by_side(pairs, block.exact(pairs), len(self.squares))
        self.squares = torch.cat([self.squares, squares], 1).topk(self.squares.shape[1], largest=False).values
        self._forget_pairs()
        return self.squares
