"""An adaptive solver of ordinary differential equations for batches of states.

>>> integrate(lambda t, y: -y, torch.ones(1, 1), 0.0, 1.0)  # doctest: +SKIP
tensor([[0.3679]])
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genzoo.errors import SolverFailed

Slope = Callable[[float, Tensor], Tensor]
"""dy/dt at time t and state y, both [n, d]."""

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
FIFTH_LESS_FOURTH = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
SMALLEST_STEP = 1e-6


def integrate(slope: Slope, y: Tensor, start: float, end: float, *, rtol: float = 1e-5, atol: float = 1e-5) -> Tensor:
    """y(end) [n, d] of dy/dt = slope(t, y) from y(start) = ``y`` [n, d]; ``end`` may lie before ``start``.

    Dormand and Prince's pair of orders 5 and 4, going on with the fifth. All rows take the same steps; a step is
    accepted when the estimated error of every row is below atol + rtol |y| (root mean square over its d numbers).

    Reference: A Family of Embedded Runge-Kutta Formulae (Dormand and Prince, 1980); Solving Ordinary Differential
    Equations I (Hairer, Nørsett and Wanner, 1993), section II.4, for the choice of the step.

    Raises:
        SolverFailed: the steps shrink to a millionth of the way, or the slope is not finite.
    """
    t, first = start, slope(start, y)
    h = _first_step(y, first, end - start, rtol, atol)
    while t != end:
        last = abs(h) >= abs(end - t)
        h = end - t if last else h
        proposal, slope_there, error = dormand_prince(slope, t, y, first, h)
        size = _norm(error / (atol + rtol * torch.maximum(y.abs(), proposal.abs())))
        if size <= 1:
            t, y, first = (end if last else t + h), proposal, slope_there
        h *= min(GROW, max(SHRINK, SAFETY * max(size, 1e-10) ** -0.2))
        if abs(h) < SMALLEST_STEP * abs(end - start):
            raise SolverFailed(f"the steps of the solver vanish at {t:.4g}, between {start:.4g} and {end:.4g}")
    return y


def dormand_prince(slope: Slope, t: float, y: Tensor, first: Tensor, h: float) -> tuple[Tensor, Tensor, Tensor]:
    """One step of size h from (t, y), where the slope is ``first``: y(t + h), the slope there, the estimated error."""
    slopes = [first]
    for node, weights in zip(NODES, STAGES, strict=True):
        there = y + h * _combine(weights, slopes)
        slopes.append(slope(t + node * h, there))
    return there, slopes[-1], h * _combine(FIFTH_LESS_FOURTH, slopes)


def _combine(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = total.add(slope, alpha=weight)
    return total


def _norm(x: Tensor) -> float:
    """The largest root mean square of a row; infinite where something is not finite."""
    return x.square().mean(1).max().sqrt().nan_to_num(float("inf")).item()


def _first_step(y: Tensor, slope: Tensor, way: float, rtol: float, atol: float) -> float:
    """A hundredth of what it takes to change y by its own size: the first step that needs no slope but the first."""
    scale = atol + rtol * y.abs()
    size, speed = _norm(y / scale), _norm(slope / scale)
    step = 0.01 * size / speed if min(size, speed) > 1e-5 else 1e-6 * abs(way)
    return min(step, abs(way)) * (1 if way > 0 else -1)
