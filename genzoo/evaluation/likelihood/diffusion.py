"""The variational bound of a discrete diffusion process, which its betas and its noise predictor define entirely.

With alpha-bar_t = prod_{s <= t} (1 - beta_s), t = 0 ... T - 1, and r_t = SNR_t = alpha-bar_t / (1 - alpha-bar_t)::

    -log P(x) <= KL(q(x_{T-1} | x) || N(0, I))                                       the prior
                 + sum_{t=1}^{T-1} KL(q(x_{t-1} | x_t, x) || N(mu(x_t, t), v_t I))   the steps
                 - log P(x | x_0)                                                    the decoder

``mu`` is the posterior mean of x_{t-1} with the predicted example in place of x. For v_t = beta-tilde_t, the variance
of the posterior, a step costs (r_{t-1} - r_t) / 2 times the squared error of that prediction; for v_t = beta_t it costs
beta-tilde_t / beta_t as much, and d / 2 times (beta-tilde_t / beta_t - 1 - log(beta-tilde_t / beta_t)) besides. Both
bounds come from the same calls, and the better is told. The decoder is a Gaussian about the prediction at t = 0, of
points its density, of images its mass between the borders of the level, the outer levels open.

References: Denoising Diffusion Probabilistic Models (Ho et al., 2020), equations 5, 8 and 13; Variational Diffusion
Models (Kingma et al., 2021), equation 14, for the steps in terms of the signal-to-noise ratio; Improved Denoising
Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), section 3.3, for choosing the timesteps by their weight.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from genzoo.capabilities import NoisePredictor, expand, supports
from genzoo.evaluation.likelihood.task import Statement, Task
from genzoo.images import log_normal_mass

TIMESTEPS = 16


@dataclass(frozen=True)
class Process:
    """A noise process: alpha-bar [T], and of the steps 1 ... T - 1 the betas and beta-tilde / beta, all float64."""

    abar: Tensor
    betas: Tensor
    ratios: Tensor

    @classmethod
    def of(cls, model: Any) -> "Process":
        """Of a model's ``betas``."""
        betas = model.betas.detach().cpu().double()
        log_abar = torch.log1p(-betas).cumsum(0)
        noise = -torch.expm1(log_abar)
        return cls(log_abar.exp(), betas, noise[:-1] / noise[1:])

    @property
    def weights(self) -> Tensor:
        """(r_{t-1} / r_t - 1) / 2: what a squared error of the noise costs at t = 1 ... T - 1, if v is beta-tilde."""
        snr = self.abar / (1 - self.abar)
        return 0.5 * (snr[:-1] / snr[1:] - 1)

    @property
    def decoder_variances(self) -> tuple[float, float]:
        """For v = beta-tilde, whose own would be 0 at t = 0, the next; for v = beta its own."""
        first = self.betas[0].item()
        return (self.ratios[0] * self.betas[1]).item() if len(self.ratios) else first, first

    @property
    def wide_steps(self) -> float:
        """What the steps cost for each dimension, whatever is predicted, if v is beta."""
        return 0.5 * (self.ratios - 1 - self.ratios.log()).sum().item()

    def prior(self, x: Tensor) -> Tensor:
        """KL(N(sqrt(abar) x, (1 - abar) I) || N(0, I)) at the noisiest step, [n]."""
        abar = self.abar[-1]
        return 0.5 * (abar * x**2 - abar - torch.log1p(-abar)).flatten(1).sum(1)


def diffusion(model: Any, task: Task) -> Iterator[Statement]:
    """The bound with 16 timesteps for each example, drawn in proportion to their weight; in full with all of them."""
    if not supports(model, (NoisePredictor,)):
        return
    process, generator = Process.of(model), task.generator()
    clean = partial(_predicted, model, process, generator, task)
    x = task.x.double().cpu()
    first = clean(torch.zeros(len(x), dtype=torch.long))
    bounds = [-process.prior(x) + _decoder(x, first, variance, task.levels) for variance in process.decoder_variances]
    timesteps, weights = _timesteps(process, len(x), generator, full=task.full)
    for t, weight in zip(timesteps, weights, strict=True):
        snr = process.abar[t] / (1 - process.abar[t])
        cost = weight * snr * ((x - clean(t)) ** 2).flatten(1).sum(1)
        bounds[0] -= cost
        bounds[1] -= cost * process.ratios[t - 1]
    bounds[1] -= task.dimension * process.wide_steps
    log_p, variance = max(zip(bounds, ("beta-tilde", "beta"), strict=True), key=lambda pair: pair[0].mean().item())
    kind = f"lower bound (variational, {len(process.betas)} steps, variance {variance})"
    yield Statement(log_p, kind, 1 + len(timesteps))


def _timesteps(process: Process, n: int, generator: Generator, *, full: bool) -> tuple[Tensor, Tensor]:
    """Timesteps [m, n] and the weights [m, n] with which their errors of the noise add up to the steps' cost.

    Of 16, the j-th is drawn from the j-th sixteenth of the distribution in proportion to the weights: the sum over all
    timesteps without bias, independently for every example.
    """
    weights = process.weights
    if full or len(weights) <= TIMESTEPS:
        every = torch.arange(len(weights))
        return (every + 1)[:, None].expand(-1, n), weights[:, None].expand(-1, n)
    quantile = (torch.arange(TIMESTEPS)[:, None] + torch.rand(TIMESTEPS, n, generator=generator)) / TIMESTEPS
    cumulative = weights.cumsum(0)
    chosen = torch.searchsorted(cumulative, quantile * cumulative[-1]).clamp(max=len(weights) - 1)
    return chosen + 1, (cumulative[-1] / TIMESTEPS).expand(TIMESTEPS, n)


def _predicted(model: Any, process: Process, generator: Generator, task: Task, t: Tensor) -> Tensor:
    """The clean examples as predicted from x_t ~ q(x_t | x), [n, *shape] float64 on the CPU."""
    x = task.x.double().cpu()
    signal, noise = (expand(part[t].sqrt(), x) for part in (process.abar, 1 - process.abar))
    x_t = signal * x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    batches, times = task.batches(model, x_t.to(task.x)), t.to(task.x.device).split(task.rows_at_once)
    parts = [given.predict(part, timestep) for (given, part), timestep in zip(batches, times, strict=True)]
    found = torch.cat(parts).double().cpu()
    return (x_t - noise * found) / signal


def _decoder(x: Tensor, mean: Tensor, variance: float, levels: int | None) -> Tensor:
    """log N(x; mean, variance I) of points; of images the log of its mass within the borders of the levels; [n]."""
    std = math.sqrt(variance)
    if levels is None:
        log_p = -0.5 * ((x - mean) / std) ** 2 - math.log(std) - 0.5 * math.log(2 * math.pi)
    else:
        log_p = log_normal_mass(x, mean, std, levels)
    return log_p.flatten(1).sum(1)
