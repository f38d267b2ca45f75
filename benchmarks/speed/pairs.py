"""Two ways to compute the same, timed in turns."""

import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Way = Callable[[], tuple[Mapping[str, Tensor], float]]
"""Computes something; returns the result, by name, and the seconds that count."""

HEADER = f"{'ratio':7} {'range':15} {'seconds of the second':22} {'same result':12} load"


@dataclass(frozen=True)
class Ratio:
    """Seconds of the first way over seconds of the second: the median of the repetitions, and their range."""

    ratios: list[float]
    seconds: list[float]
    same: bool

    def __str__(self) -> str:
        ratio, seconds = statistics.median(self.ratios), f"{statistics.median(self.seconds):.3f}"
        spread = f"{min(self.ratios):.3f} to {max(self.ratios):.3f}"
        return f"{ratio:<7.3f} {spread:15} {seconds:22} {self.same!s:12} {os.getloadavg()[0]:.1f}"


def compare(first: Way, second: Way, repeats: int) -> Ratio:
    """Both ways ``repeats`` times, the one that begins changing every time, and whether every result was the same."""
    ratios, seconds, same = [], [], True
    for number in range(repeats):
        turns = {way: way() for way in ((first, second) if number % 2 else (second, first))}
        (mine, took), (theirs, reference) = turns[first], turns[second]
        ratios.append(took / reference)
        seconds.append(reference)
        same = same and all(torch.equal(value, theirs[name]) for name, value in mine.items())
    return Ratio(ratios, seconds, same)
