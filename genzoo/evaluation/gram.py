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

BLOCK_ELEMENTS = 1 << 20  # of each of three buffers
FEWEST_ROWS = 64
CHUNK_ELEMENTS = 1 << 17  # of rows in float64
INNER = 256  # columns multiplied at once: the bound of a sum of short sums is smaller than that of a long one
LARGEST_GROUP, FEWEST_GROUPS = 32, 64
UNDECIDED_PER_ROW = 48

Result = TypeVar("Result")


class _TooManyUndecided(Exception):
    """Float32 leaves so many pairs undecided that float64 is faster."""


def scan(of_dtype: Callable[[torch.dtype], Result]) -> Result:
    """``of_dtype(torch.float32)``, or of float64 if too many pairs are too close or float32 products are not."""
    if torch.get_float32_matmul_precision() == "highest":
        try:
            return of_dtype(torch.float32)
        except _TooManyUndecided:
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
    """Row numbers within a block, in order, and column numbers."""

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
        elements = BLOCK_ELEMENTS * max(
            1, d // INNER
        )  # a product of long rows costs more than its block's way to memory
        self.num_rows = min(len(x), max(FEWEST_ROWS, elements // self.width))
        self.buffers = torch.empty(3, self.num_rows, self.width, dtype=dtype, device=y.raw.device)

    def filled(self, values: Tensor, fill: float) -> Tensor:
        """``values`` [m] and then ``fill``, [width] in the dtype of the blocks."""
        out = torch.full((self.width,), fill, dtype=self.dtype, device=values.device)
        out[: len(values)] = values
        return out

    def blocks(self) -> Iterator["Block"]:
        """Every row of ``x`` against all of ``y``; a block is overwritten by the next."""
        for start in range(0, len(self.x), self.num_rows):
            rows = slice(start, min(start + self.num_rows, len(self.x)))
            product, first, second = self.buffers[:, : rows.stop - start]
            left = self.x.scaled(rows).to(self.dtype)
            for k in range(0, left.shape[1], INNER):
                columns = slice(k, k + INNER)
                product.addmm_(left[:, columns], self.right[:, columns].T, beta=min(k, 1), alpha=-2)
            yield Block(self, rows, product, (first, second))


@dataclass(frozen=True)
class Block:
    """-2 u.v of some rows with all, [b, width], and room for two more matrices of this shape."""

    gram: Gram
    rows: slice
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

    def fill_diagonal(self, matrix: Tensor, value: float) -> None:
        """Write ``value`` where a row meets itself; ``x`` and ``y`` are the same set."""
        matrix[:, self.rows].fill_diagonal_(value)

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

    def at_most(self, matrix: Tensor, limits: Tensor) -> Pairs:
        """Where ``matrix`` [b, width] is not above ``limits`` [b, 1]; few, so groups of columns are looked at first."""
        groups = matrix.view(len(matrix), self.gram.group, -1)
        limits = limits.to(matrix.dtype)
        row, group = (groups.amin(1) <= limits).nonzero(as_tuple=True)
        if self.gram.dtype == torch.float32 and len(row) > UNDECIDED_PER_ROW * len(matrix):
            raise _TooManyUndecided
        found, position = (groups[row, :, group] <= limits[row]).nonzero(as_tuple=True)
        return Pairs(row[found], position * groups.shape[2] + group[found])

    def candidates(self, k: int, *, exclude_self: bool) -> tuple[Tensor, Tensor]:
        """Squared distances of rows among which are the k smallest, [b, c >= k] float64, exact, and their columns.

        Rows with fewer candidates end in infinity. The k-th smallest group minimum is not below the k-th smallest
        lower bound, so k distances are at most that plus twice the error, where |v|^2 <= 2 |u|^2 + 2 |u - v|^2.
        """
        gram = self.gram
        lower = torch.add(self.product, gram.filled(gram.y.norms, torch.inf) - gram.slack, out=self.room[0])
        if exclude_self:
            self.fill_diagonal(lower, torch.inf)
        minima = lower.view(len(lower), gram.group, -1).amin(1)
        kth = minima.topk(k, largest=False, sorted=False).values.amax(1, keepdim=True).double()
        square = (kth + self.norms - self.slack).clamp(min=0)
        pairs = self.at_most(lower, square * (1 + 8 * gram.gamma) + 9 * self.slack - self.norms)
        return _side_by_side(pairs, self.exact(pairs), len(lower))

    def inside(self, squares: Tensor, *, closed: bool) -> Tensor:
        """1 where |x_i - y_j|^2 < ``squares`` (<= if ``closed``), else 0, [b, width]; squares are [b, 1] or [m]."""
        gram, scaled = self.gram, squares * self.gram.x.frame.scale**2
        by_row = squares.dim() == 2
        columns = gram.filled(gram.y.norms - (0 if by_row else scaled), torch.inf)
        apart = torch.add(self.product, columns, out=self.room[0])
        apart.add_((self.norms - scaled if by_row else self.norms).to(gram.dtype))
        undecided = self.at_most(torch.abs(apart, out=self.room[1]).sub_(gram.slack), self.slack)
        if len(undecided.i):
            exact, limit = self.exact(undecided), squares[undecided.i, 0] if by_row else squares[undecided.j]
            within = exact <= limit if closed else exact < limit
            apart[undecided] = 1 - 2 * within.to(gram.dtype)
        return apart.lt_(0)


def _side_by_side(pairs: Pairs, values: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """Values and columns of each row in a row of their own, filled up with infinity and -1."""
    counts = torch.bincount(pairs.i, minlength=num_rows)
    place = torch.arange(len(pairs.i), device=pairs.i.device) - (counts.cumsum(0) - counts)[pairs.i]
    width = int(counts.max())
    squares = torch.full((num_rows, width), torch.inf, dtype=torch.float64, device=values.device)
    columns = torch.full((num_rows, width), -1, device=values.device)
    squares[pairs.i, place], columns[pairs.i, place] = values, pairs.j
    return squares, columns
