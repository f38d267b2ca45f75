"""Models that say it themselves: a mass, a density, a bound, importance weights."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import Density, ImportanceWeighted, LowerBound, Mass, supports
from genzoo.evaluation.likelihood.task import Statement, Task

EXACT, LOWER_BOUND = "exact", "lower bound"
DRAWS, FULL_DRAWS = 64, 512
NOISE_DRAWS = 64


def masses(model: Any, task: Task) -> Iterator[Statement]:
    """log P of images, exactly."""
    if task.levels is not None and supports(model, (Mass,)):
        yield Statement(task.batched(lambda given, x: given.log_mass(x), model, task.x), EXACT, 1)


def densities(model: Any, task: Task) -> Iterator[Statement]:
    """log p of points, exactly; of images a lower bound by noise within a level.

    In full also log 1/k sum_j p(x + D u_j) + d log D over k draws of the noise: the bound that rises to log P with k.

    References: A Note on the Evaluation of Generative Models (Theis et al., 2016), equation 6; Flow++ (Ho et al., 2019)
    and Learning Discrete Distributions by Dequantization (Hoogeboom et al., 2020), for the importance-weighted form.
    """
    if not supports(model, (Density,)):
        return
    if task.full and task.levels is not None:
        generator = task.generator()
        log_p = [task.batched(_log_prob, model, task.continuous(generator)) for _ in range(NOISE_DRAWS)]
        kind = f"{LOWER_BOUND} (importance-weighted dequantisation, k={NOISE_DRAWS})"
        yield Statement(_log_mean_exp(torch.stack(log_p)) + task.log_volume, kind, NOISE_DRAWS)
    log_p_of_one = task.batched(_log_prob, model, task.continuous()) + task.log_volume
    yield Statement(log_p_of_one, task.kind(EXACT if task.levels is None else LOWER_BOUND, of_density=True), 1)


def _log_prob(model: Any, x: Tensor) -> Tensor:
    return model.log_prob(x)


def importance_weighted(model: Any, task: Task) -> Iterator[Statement]:
    """log 1/k sum_i p(x, z_i) / q(z_i | x), z_i ~ q(z | x): a lower bound that rises to log p with k.

    Reference: Importance Weighted Autoencoders (Burda et al., 2016), equation 8.
    """
    if not _bounds_it(model, ImportanceWeighted, task):
        return
    k = FULL_DRAWS if task.full else DRAWS
    of_density, rows = model.bounds == "density", max(1, task.rows_at_once // k)

    def log_mean(given: Any, x: Tensor) -> Tensor:
        return _log_mean_exp(given.log_weights(x, k).double())

    log_p = task.batched(log_mean, model, _points(model, task), rows)
    kind = task.kind(LOWER_BOUND, f"importance-weighted, k={k}", of_density=of_density)
    yield Statement(log_p + (task.log_volume if of_density else 0.0), kind, k)


def variational(model: Any, task: Task) -> Iterator[Statement]:
    """One draw of the model's own bound for each example."""
    if not _bounds_it(model, LowerBound, task):
        return
    of_density = model.bounds == "density"
    log_p = task.batched(lambda given, x: given.log_bound(x), model, _points(model, task))
    log_p = log_p + (task.log_volume if of_density else 0.0)
    yield Statement(log_p, task.kind(LOWER_BOUND, "variational", of_density=of_density), 1)


def _bounds_it(model: Any, capability: type, task: Task) -> bool:
    """A bound of a mass says nothing of points."""
    return supports(model, (capability,)) and (task.levels is not None or model.bounds == "density")


def _points(model: Any, task: Task) -> Tensor:
    return task.continuous() if model.bounds == "density" else task.x


def _log_mean_exp(log_weights: Tensor) -> Tensor:
    """Over the first axis."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))
