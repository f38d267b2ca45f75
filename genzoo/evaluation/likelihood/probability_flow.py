"""The likelihood of a denoiser, by the differential equation that carries its data to noise.

The probability flow of data blurred by sigma is dx / dsigma = -sigma score(x; sigma). It is solved for y = x / s with
s^2 = 1 + sigma^2, which stands still for normal data of unit variance, over tau = log sigma::

    dy / dtau = f(y) = -sigma^2 / s^2 (y + s score(s y; sigma))
    log p(x; sigma_min) = log N(y'; 0, I) + integral of div f over tau - d log s_min

where y' is where y has come to at sigma_max; so the prior is that x' ~ N(0, (1 + sigma_max^2) I). The divergence is
exact in few dimensions, else Hutchinson's estimate v . grad(f . v) with one v of random signs for each example. What is
told is the density of the model blurred by its smallest sigma; the number is as good as the solver and the estimate of
the divergence: an estimate, not a bound.

References: Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021), section 4.3;
FFJORD (Grathwohl et al., 2019), section 3.1, for a noise that is fixed along the way.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import NoisyScore, as_noisy_score, supports
from genzoo.errors import SolverFailed
from genzoo.evaluation.likelihood.task import Counted, NoLikelihood, Statement, Task
from genzoo.ode import Slope, integrate

NUM_POINTS, MOST_IMAGES, FEWEST_IMAGES, NUMBERS = 1000, 64, 16, 1 << 14
TOLERANCE, FULL_TOLERANCE = 1e-3, 1e-5
EXACT_DIVERGENCE = 4
STEP = 0.01

Score = Callable[[Tensor, Tensor], Tensor]


def probability_flow(model: Any, task: Task) -> Iterator[Statement]:
    """log p of 1,000 points or 64 images (fewer above 16x16, at least 16), in full of all; a call has its gradient."""
    if not supports(model, (NoisyScore,)):
        return
    task = task.cut(_enough(task))
    x, probes, log_p = task.continuous(), _probes(task), []
    calls = _check_derivative(*next(task.batches(model, x, rows=8)), probes[:, :8])
    for (given, part), signs in zip(task.batches(model, x), probes.split(task.rows_at_once, 1), strict=True):
        noisy = as_noisy_score(given)
        score = Counted(noisy.noisy_score)
        try:
            log_p.append(_log_prob(score, part, signs, noisy, FULL_TOLERANCE if task.full else TOLERANCE))
        except SolverFailed as error:
            raise NoLikelihood(f"probability-flow ODE: {error}") from error
        calls += score.rows
    kind = task.kind("estimate", "probability-flow ODE", of_density=True)
    yield Statement(torch.cat(log_p) + task.log_volume, kind, calls / len(x))


def _enough(task: Task) -> int:
    return NUM_POINTS if task.levels is None else max(FEWEST_IMAGES, min(MOST_IMAGES, NUMBERS // task.dimension))


def _probes(task: Task) -> Tensor:
    """Vectors v [k, n, *shape] with sum_k v v^T = I, or with that expectation."""
    if task.dimension <= EXACT_DIVERGENCE:
        axes = torch.eye(task.dimension).to(task.x).view(-1, 1, *task.x.shape[1:])
        return axes.expand(-1, *task.x.shape)
    signs = torch.randint(2, task.x.shape, generator=task.generator().manual_seed(task.seed + 1))
    return (2 * signs - 1).to(task.x)[None]


def _log_prob(score: Score, x: Tensor, probes: Tensor, noisy: NoisyScore, tolerance: float) -> Tensor:
    """log p(x; sigma_min), [n] float64 on the CPU; the state holds y and the integral of the divergence."""
    smallest = math.sqrt(1 + noisy.sigma_min**2)
    state = torch.cat([x.flatten(1) / smallest, x.new_zeros(len(x), 1)], 1)
    span = (math.log(noisy.sigma_min), math.log(noisy.sigma_max))
    end = integrate(_slope(score, probes), state, *span, rtol=tolerance, atol=tolerance).double().cpu()
    y, integral = end[:, :-1], end[:, -1]
    log_prior = -0.5 * (y**2 + math.log(2 * math.pi)).sum(1)
    return log_prior + integral - y.shape[1] * math.log(smallest)


def _slope(score: Score, probes: Tensor) -> Slope:
    """f and its divergence, [n, d + 1]."""

    def slope(tau: float, state: Tensor) -> Tensor:
        with torch.enable_grad():
            y = state[:, :-1].reshape(probes.shape[1:]).detach().requires_grad_()
            f = _velocity(score, y, math.exp(tau))
            products = [(v * torch.autograd.grad(f, y, v, retain_graph=True)[0]).flatten(1).sum(1) for v in probes]
        divergence = torch.stack(products).sum(0)
        return torch.cat([f.detach().flatten(1), divergence[:, None]], 1)

    return slope


def _velocity(score: Score, y: Tensor, sigma: float) -> Tensor:
    s = math.sqrt(1 + sigma**2)
    return -(sigma**2) / s**2 * (y + s * score(s * y, y.new_tensor(sigma)))


def _check_derivative(model: Any, x: Tensor, probes: Tensor) -> int:
    """The divergence by differentiation must be that by differences: a network that cuts its graph would lie.

    Returns the rows that this took.
    """
    noisy = as_noisy_score(model)
    score, sigma = Counted(noisy.noisy_score), math.sqrt(noisy.sigma_min * noisy.sigma_max)
    y = x / math.sqrt(1 + sigma**2)
    told = _slope(score, probes)(math.log(sigma), torch.cat([y.flatten(1), y.new_zeros(len(y), 1)], 1))[:, -1]
    rise = [_velocity(score, y + STEP * v, sigma) - _velocity(score, y - STEP * v, sigma) for v in probes]
    found = sum((v * f).flatten(1).sum(1) for v, f in zip(probes, rise, strict=True)) / (2 * STEP)
    if ((told - found).abs() > 0.1 * (told.abs() + found.abs() + y[0].numel())).any():
        raise NoLikelihood("probability-flow ODE: the derivative of the noisy score is not that of its values")
    return score.rows
