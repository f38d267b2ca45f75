"""The partition function of an energy in the plane, summed over a lattice."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import Density, Energy, as_energy, supports
from genzoo.evaluation.likelihood.task import NoLikelihood, Statement, Task

REACH = 8.0
INNER_REACH = 6.0
CELLS = 1024
MAX_OUTSIDE = 1e-3
MAX_COARSE_ERROR = 0.01


def quadrature(model: Any, task: Task) -> Iterator[Statement]:
    """log p = -E - log Z of an energy in the plane, Z by a lattice of 1024 x 1024 on [-8, 8]^2.

    Points stand off the middle of their cells, so that no symmetric energy looks the same to every other one of them.
    """
    if not supports(model, (Energy,)) or supports(model, (Density,)) or tuple(model.shape) != (2,):
        return
    task.refuse_labels("quadrature")
    axis = (torch.arange(CELLS) + 0.3) * (2 * REACH / CELLS) - REACH
    lattice = torch.cartesian_prod(axis, axis).to(task.x)
    minus_energy = -task.batched(_energy, model, lattice).reshape(CELLS, CELLS)
    log_z = minus_energy.flatten().logsumexp(0)
    _check(minus_energy, axis, log_z)
    log_p = -task.batched(_energy, model, task.x) - log_z - 2 * math.log(2 * REACH / CELLS)
    yield Statement(log_p, "quadrature", 1 + CELLS**2 / len(task.x))


def _energy(model: Any, x: Tensor) -> Tensor:
    return as_energy(model).energy(x)


def _check(minus_energy: Tensor, axis: Tensor, log_sum: Tensor) -> None:
    """The mass must lie inside the square, and every other cell must tell the same."""
    inner = axis.abs() < INNER_REACH
    outside = 1 - (minus_energy[inner][:, inner].flatten().logsumexp(0) - log_sum).exp().item()
    if not outside < MAX_OUTSIDE:
        raise NoLikelihood(f"{100 * outside:.1f} % of the energy's mass lies outside [-6, 6]^2: no sure integral")
    halves = [minus_energy[i::2, i::2].flatten().logsumexp(0) + math.log(4) - log_sum for i in (0, 1)]
    if max(abs(half.item()) for half in halves) > MAX_COARSE_ERROR:
        raise NoLikelihood(f"the energy is too rough for quadrature with cells of {2 * REACH / CELLS:.3f}")
