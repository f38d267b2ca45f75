"""Squared distances between rows, a block of the Gram matrix at a time: with a bound, and exact where it matters.

A block is |u|^2 + |v|^2 - 2 u.v of features centred on one mean and scaled by a power of two, in float32 where that
tells pairs apart and in float64 where it does not. It is wrong by at most gamma (|u|^2 + |v|^2), whatever the order of
summation, so it is known which comparisons it cannot decide: those pairs are computed again from the features, as
sum (x - y)^2 in float64. Every decision is then that of brute force in float64, with ties, duplicates, outliers and
features far from the origin. Memory is O(block * N): buffers are made once and used for every block.

Reference: Accuracy and Stability of Numerical Algorithms (Higham, 2002) for the bound.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

BLOCK_ELEMENTS = 1 << 20  # of each of three buffers, times d / INNER for whole rows
FEWEST_ROWS = 64
CHUNK_ELEMENTS = 1 << 17  # of rows in float64
INNER = 256  # columns multiplied at once: the bound of a sum of short sums is smaller than that of a long one
LARGEST_GROUP, FEWEST_GROUPS = 32, 64
UNDECIDED_PER_ROW = 48

Result = TypeVar("Result")


class TooManyUndecided(Exception):
    """Float32 leaves so many pairs undecided that float64 is faster."""


def scan(of_dtype: Callable[[torch.dtype], Result]) -> Result:
    """``of_dtype(torch.float32)``, or of float64 if too many pairs are too close or float32 products are not."""
    if torch.get_float32_matmul_precision() == "highest":
        try:
            return of_dtype(torch.float32)
        except TooManyUndecided:
            pass
    return of_dtype(torch.float64)


@dataclass(frozen=True)
class Frame:
    """Sets of rows [n, d] in float64, their centre (the mean of the last), and a power of two by which none is long."""

    sets: tuple[Tensor, ...]

    @cached_property
    def centre(self) -> Tensor:
        """[d], not scaled."""
        return self.sets[-1].mean(0)

    @cached_property
    def scale(self) -> float:
        """No centred row times this is longer than 1."""
        widest = max(
            (self.sets[p.which][rows] - self.centre).abs().max().item() for p in self.points() for rows in p.chunks()
        )
        return 2.0 ** min(500, -math.frexp(widest * math.sqrt(len(self.centre)))[1])

    @cached_property
    def identities(self) -> tuple[Tensor, ...]:
        """One number for each distinct row, the same in all sets; [n] each."""
        numbers = torch.unique(torch.cat(self.sets), dim=0, return_inverse=True)[1]
        return numbers.split([len(x) for x in self.sets])

    def points(self) -> list["Points"]:
        """Each set as it looks from here."""
        return [Points(self, which) for which in range(len(self.sets))]


@dataclass(frozen=True)
class Points:
    """One set of a frame."""

    frame: Frame
    which: int

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def raw(self) -> Tensor:
        """The rows as they are, [n, d] float64."""
        return self.frame.sets[self.which]

    def chunks(self) -> Iterator[slice]:
        """All rows, a few at a time."""
        step = max(1, CHUNK_ELEMENTS // self.raw.shape[1])
        return (slice(start, start + step) for start in range(0, len(self), step))

    def centred(self, rows: slice) -> Tensor:
        """Some rows less the centre, [b, d] float64, not scaled."""
        return self.raw[rows] - self.frame.centre

    def scaled(self, rows: slice) -> Tensor:
        """Some rows, centred and scaled, [b, d] float64."""
        return self.centred(rows).mul_(self.frame.scale)

    @cached_property
    def norms(self) -> Tensor:
        """Their squared lengths, [n] float64."""
        return torch.cat([self.scaled(rows).square_().sum(1) for rows in self.chunks()])


class Pairs(NamedTuple):
    """Row numbers within a block, and numbers of rows of ``y``."""

    i: Tensor
    j: Tensor


class Gram:
    """-2 u.v of all rows of ``x`` with all rows of ``y``, [n, m]; a block at a time in ``dtype``.

    ``y`` is filled up with rows that are infinitely far away, to a multiple of the group size.
    """

    def __init__(self, x: Points, y: Points, dtype: torch.dtype) -> None:
        self.x, self.y, self.dtype = x, y, dtype
        self.group = max(1, min(LARGEST_GROUP, len(y) // FEWEST_GROUPS))
        self.width = -(-len(y) // self.group) * self.group
        d, eps = y.raw.shape[1], torch.finfo(dtype)
        self.gamma = (min(d, INNER) + d / INNER + 16) * eps.eps / 2
        self.tiny = (d + 16) * eps.tiny
        self.slack = self.filled(self.gamma * y.norms + self.tiny, 0.0)
        self.right = torch.zeros(self.width, d, dtype=dtype, device=y.raw.device)
        for rows in y.chunks():
            self.right[rows][: len(y) - rows.start] = y.scaled(rows)

    def filled(self, values: Tensor, fill: float) -> Tensor:
        """``values`` [m] and then ``fill``, [width] in the dtype of the blocks."""
        out = torch.full((self.width,), fill, dtype=self.dtype, device=values.device)
        out[: len(values)] = values
        return out

    def blocks(self) -> Iterator["Block"]:
        """Every row of ``x`` against all of ``y``; a block is overwritten by the next."""
        # A product of long rows costs more than its block's way to memory.
        elements = BLOCK_ELEMENTS * max(1, self.right.shape[1] // INNER)
        num_rows = min(len(self.x), max(FEWEST_ROWS, elements // self.width))
        room = self.right.new_empty(3, num_rows, self.width)
        for start in range(0, len(self.x), num_rows):
            rows = slice(start, min(start + num_rows, len(self.x)))
            yield self.block(self.x.scaled(rows).to(self.dtype), rows, slice(0, self.width), room)

    def tiles(self) -> Iterator["Block"]:
        """If ``x`` is ``y``: panels I <= J of its rows against each other; see :meth:`Block.both_ways`.

        A tile is overwritten by the next. Those of the same rows follow each other, the last column last.
        """
        side = self.group * max(1, math.isqrt(BLOCK_ELEMENTS) // self.group)
        room = self.right.new_empty(3, side, side)
        panels = [slice(start, min(start + side, self.width)) for start in range(0, self.width, side)]
        for number, panel in enumerate(panels):
            rows = slice(panel.start, min(panel.stop, len(self.x)))
            for columns in panels[number:]:
                yield self.block(self.right[rows], rows, columns, room)

    def block(self, left: Tensor, rows: slice, columns: slice, room: Tensor) -> "Block":
        """Of ``left``, which are the rows as multiplied; computed in ``room``."""
        product, first, second = room[:, : rows.stop - rows.start, : columns.stop - columns.start]
        for k in range(0, left.shape[1], INNER):
            inner = slice(k, k + INNER)
            product.addmm_(left[:, inner], self.right[columns, inner].T, beta=min(k, 1), alpha=-2)
        return Block(self, rows, columns, product, (first, second))


@dataclass(frozen=True)
class Block:
    """-2 u.v of some rows with some or all columns, [b, w], and room for two more matrices of this shape."""

    gram: Gram
    rows: slice
    columns: slice
    product: Tensor
    room: tuple[Tensor, Tensor]

    @cached_property
    def norms(self) -> Tensor:
        """[b, 1] float64."""
        return self.gram.x.norms[self.rows, None]

    @cached_property
    def slack(self) -> Tensor:
        """The rows' part of the error of a squared distance, [b, 1] float64."""
        return self.gram.gamma * self.norms + self.gram.tiny

    def both_ways(self) -> list["Block"]:
        """This tile and, unless it is of rows with themselves, the same products with its columns as rows."""
        if self.rows.start == self.columns.start:
            return [self]
        rows = slice(self.columns.start, min(self.columns.stop, len(self.gram.x)))
        product, first, second = (matrix.T[: rows.stop - rows.start] for matrix in (self.product, *self.room))
        return [self, Block(self.gram, rows, self.rows, product, (first, second))]

    def fill_diagonal(self, matrix: Tensor, value: float) -> None:
        """Write ``value`` where a row meets itself, if any does; ``x`` and ``y`` are the same set."""
        if self.columns.start <= self.rows.start < self.columns.stop:
            matrix[:, self.rows.start - self.columns.start :].fill_diagonal_(value)

    def exact(self, pairs: Pairs) -> Tensor:
        """|x_i - y_j|^2 of the features as they are, float64."""
        x, y = self.gram.x, self.gram.y
        i, j = pairs.i + self.rows.start, pairs.j
        out = torch.zeros(len(i), dtype=torch.float64, device=i.device)
        other = torch.arange(len(i), device=i.device)
        if self.gram.dtype == torch.float64:  # many may be pairs of the same row
            identity = x.frame.identities
            other = other[identity[x.which][i] != identity[y.which][j]]
        for some in other.split(max(1, CHUNK_ELEMENTS // x.raw.shape[1])):
            out[some] = x.raw[i[some]].sub_(y.raw[j[some]]).square_().sum(1)
        return out

    def groups(self, matrix: Tensor) -> Tensor:
        """``matrix`` [b, w] as [b, group, w / group]."""
        return matrix.unflatten(1, (self.gram.group, -1))

    def minima(self, matrix: Tensor) -> Tensor:
        """Of groups, [b, w / group]."""
        groups = self.groups(matrix)
        return torch.amin(groups, 1, out=torch.empty_like(groups[:, 0]))  # in its layout: ten times faster if turned

    def at_most(self, matrix: Tensor, minima: Tensor, limits: Tensor) -> Pairs:
        """Where ``matrix`` [b, w] is not above ``limits`` [b, 1], by rows; few, so the minima of groups tell where.

        Columns are counted from the block's first.
        """
        groups, limits = self.groups(matrix), limits.to(matrix.dtype)
        row, group = (minima <= limits).nonzero(as_tuple=True)
        if self.gram.dtype == torch.float32 and len(row) > UNDECIDED_PER_ROW * len(matrix):
            raise TooManyUndecided
        found, position = (groups[row, :, group] <= limits[row]).nonzero(as_tuple=True)
        return Pairs(row[found], position * groups.shape[2] + group[found])

    def lower_bounds(self, *, exclude_self: bool) -> tuple[Tensor, Tensor]:
        """Of squared distances, less what is the same in a row, [b, w]; and their minima over groups."""
        columns = self.gram.filled(self.gram.y.norms, torch.inf) - self.gram.slack
        lower = torch.add(self.product, columns[self.columns], out=self.room[0])
        if exclude_self:
            self.fill_diagonal(lower, torch.inf)
        return lower, self.minima(lower)

    def limits(self, kth: Tensor) -> Tensor:
        """What the lower bounds of the k nearest do not exceed, if k are at most ``kth``; both [b, 1].

        The k-th distance is at most the bound plus twice the error, where |v|^2 <= 2 |u|^2 + 2 |u - v|^2.
        """
        square = (kth.double() + self.norms - self.slack).clamp(min=0)
        limits = square * (1 + 8 * self.gram.gamma) + 9 * self.slack - self.norms
        return limits.clamp(max=torch.finfo(self.gram.dtype).max).to(self.gram.dtype)  # below infinity, which is no row

    def candidates(self, k: int, *, exclude_self: bool) -> tuple[Tensor, Tensor]:
        """Squared distances of rows among which are the k smallest, [b, c >= k] float64, exact, and their columns.

        Rows with fewer candidates end in infinity. The k-th smallest group minimum is not below the k-th smallest
        lower bound.
        """
        lower, minima = self.lower_bounds(exclude_self=exclude_self)
        kth = minima.topk(k, largest=False, sorted=False).values.amax(1, keepdim=True)
        pairs = self.at_most(lower, minima, self.limits(kth))
        return side_by_side(pairs, self.exact(pairs), len(lower))

    def inside(self, squares: Tensor, *, closed: bool) -> Tensor:
        """1 where |x_i - y_j|^2 < ``squares`` (<= if ``closed``), else 0, [b, width]; squares are [b, 1] or [m]."""
        gram, scaled = self.gram, squares * self.gram.x.frame.scale**2
        by_row = squares.dim() == 2
        columns = gram.filled(gram.y.norms - (0 if by_row else scaled), torch.inf)
        apart = torch.add(self.product, columns, out=self.room[0])
        apart.add_((self.norms - scaled if by_row else self.norms).to(gram.dtype))
        doubt = torch.abs(apart, out=self.room[1]).sub_(gram.slack)
        undecided = self.at_most(doubt, self.minima(doubt), self.slack)
        if len(undecided.i):
            exact, limit = self.exact(undecided), squares[undecided.i, 0] if by_row else squares[undecided.j]
            within = exact <= limit if closed else exact < limit
            apart[undecided] = 1 - 2 * within.to(gram.dtype)
        return apart.lt_(0)


def side_by_side(pairs: Pairs, values: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """Values and columns of each row in a row of their own, filled up with infinity and -1."""
    counts = torch.bincount(pairs.i, minlength=num_rows)
    place = torch.arange(len(pairs.i), device=pairs.i.device) - (counts.cumsum(0) - counts)[pairs.i]
    width = int(counts.max())
    squares = torch.full((num_rows, width), torch.inf, dtype=torch.float64, device=values.device)
    columns = torch.full((num_rows, width), -1, device=values.device)
    squares[pairs.i, place], columns[pairs.i, place] = values, pairs.j
    return squares, columns
