"""The partition function of an energy by annealed importance sampling, from both ends.

With y = (x - m) / s, m and s those of the examples coordinate by coordinate (s at least 0.1), chains walk along::

    f_beta(y) = N(y; 0, I)^(1 - beta) (exp(-E(m + s y)) prod s)^beta,     beta = 0 ... 1

from f_0, whose integral is 1, to f_1, whose integral is Z. The weight w of a chain is the product of
f_{beta_k} / f_{beta_{k-1}} at its states. *Forward* chains start from the normal: E[w] = Z, and so
E[log mean w] <= log Z, which makes the model look better than it is. *Reverse* chains run from f_1 to f_0: E[w] = 1 / Z
if they start from draws of the model, and then -log mean w errs to the other side. There are no exact draws: half of
the chains start where forward chains ended, drawn by their weights, half from the examples, and all walk at beta = 1
first. The former miss what the forward run has missed, the latter what lies far from the data; each half gives a Z, and
the larger, which flatters the model less, is told. So this end is an estimate too. Where the energy is infinite no
reverse chain ever comes: its Z is multiplied by the share of forward chains that start elsewhere.

A run that is thrown away adapts the size of the steps at each beta to an acceptance of 0.7, and measures the spread of
log(f_1 / f_0), in proportion to which the betas are spaced.

References: Annealed Importance Sampling (Neal, 2001); Sandwiching the Marginal Likelihood Using Bidirectional Monte
Carlo (Grosse et al., 2015) and Accurate and Conservative Estimates of MRF Log-likelihood Using Reverse Annealing (Burda
et al., 2015) for the other end; Simulating Normalizing Constants (Gelman and Meng, 1998), section 3.2, for the spacing.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from genzoo.capabilities import Density, Energy, as_energy, supports
from genzoo.evaluation.likelihood.hmc import Chains, transition
from genzoo.evaluation.likelihood.task import Counted, NoLikelihood, Statement, Task

SMALLEST_STD = 0.1
ACCEPTANCE = 0.7


@dataclass(frozen=True)
class Effort:
    """How many chains, temperatures of a run, and temperatures of the run that adapts."""

    chains: int
    temperatures: int
    warm_up: int


QUICK, FULL = Effort(64, 120, 40), Effort(256, 2000, 300)


class Path:
    """log f_1(y) and its slope, for the energy of a model and the examples that it is whitened by."""

    def __init__(self, model: Any, x: Tensor) -> None:
        self.energy = Counted(as_energy(model).energy)
        std, self.mean = torch.std_mean(x, 0, correction=0)
        self.std = std.clamp(min=SMALLEST_STD)
        self.log_volume = self.std.log().sum()

    def whiten(self, x: Tensor) -> Tensor:
        """y, [m, d], of x [m, *shape]."""
        return ((x - self.mean) / self.std).flatten(1)

    def visit(self, y: Tensor) -> Chains:
        """Chains at y [m, d]: one call of the energy, with its gradient."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            log_f = self.log_volume - self.energy(self.mean + self.std * y.view(-1, *self.mean.shape))
            if not log_f.requires_grad:
                raise NoLikelihood("AIS: the energy cannot be differentiated")
            (slope,) = torch.autograd.grad(log_f.sum(), y)
        return Chains(y.detach(), log_f.detach(), slope)


@dataclass(frozen=True)
class Schedule:
    """betas from 0 to 1 and the size of the steps at each."""

    betas: np.ndarray
    steps: np.ndarray

    def at(self, betas: np.ndarray) -> "Schedule":
        """The same at other betas."""
        return Schedule(betas, np.interp(betas, self.betas, self.steps))


def annealed(model: Any, task: Task) -> Iterator[Statement]:
    """log p = -E - log Z with Z from the normal's end, then from the model's; the standard error is that of Z too."""
    if not supports(model, (Energy,)) or supports(model, (Density,)):
        return
    task.refuse_labels("AIS")
    effort, generator = FULL if task.full else QUICK, task.generator()
    x = task.continuous()
    path = Path(model, x)
    schedule = adapted(path, effort, generator)
    minus_energy = task.batched(lambda _, part: -path.energy(part), model, x)
    chains, log_w = forward(path, schedule, _normal(path, effort.chains, generator), generator)
    yield _statement(task, "forward", minus_energy, log_mean_exp(log_w), path)
    starts = torch.cat([_drawn(chains.y, log_w, generator), _some(path.whiten(x), len(log_w) // 2, generator)])
    back = reverse(path, schedule, path.visit(starts), generator)
    log_mean, se = min(log_mean_exp(half) for half in back.chunk(2))
    log_inside, se_inside = log_mean_exp(log_w.isfinite().double().log())
    yield _statement(task, "reverse", minus_energy, (log_inside - log_mean, math.hypot(se, se_inside)), path)


def _statement(task: Task, end: str, minus_energy: Tensor, log_z: tuple[float, float], path: Path) -> Statement:
    """The calls so far are those that this end took: the first run serves both, the reverse one starts at its ends."""
    log_p = minus_energy - log_z[0] + task.log_volume
    kind = task.kind("estimate", "AIS", end, of_density=True)
    return Statement(log_p, kind, path.energy.rows / len(task.x), shared_se=log_z[1])


def adapted(path: Path, effort: Effort, generator: Generator) -> Schedule:
    """What a first run from the normal's end learns of the steps and of the betas."""
    betas = _sigmoidal(effort.warm_up)
    chains, step, steps, spreads = _normal(path, effort.chains, generator), 0.5, [], []
    for beta in betas:
        for _ in range(2):
            chains, accepted = transition(path.visit, chains, float(beta), step, generator)
            step *= math.exp(0.5 * (accepted - ACCEPTANCE))
        ratio = _log_ratio(chains)
        ratio = ratio[ratio.isfinite()]
        steps.append(step)
        spreads.append(ratio.std(correction=0).item() if len(ratio) else 0.0)
    length = np.concatenate([[0.0], np.cumsum(np.diff(betas) * (np.array(spreads[1:]) + np.array(spreads[:-1])) / 2)])
    even = np.linspace(0, 1, effort.temperatures + 1)
    spaced = even if length[-1] == 0 else np.interp(even * length[-1], length, betas)
    return Schedule(betas, np.array(steps)).at(0.9 * spaced + 0.1 * even)


def _sigmoidal(n: int) -> np.ndarray:
    """n + 1 betas from 0 to 1, dense at both ends."""
    s = 1 / (1 + np.exp(-np.linspace(-4, 4, n + 1)))
    return (s - s[0]) / (s[-1] - s[0])


def forward(path: Path, schedule: Schedule, chains: Chains, generator: Generator) -> tuple[Chains, Tensor]:
    """Chains from the normal, [m], at their end, and log w of each, [m] float64: the mean of w is Z."""
    log_w = torch.zeros(len(chains.y), dtype=torch.float64)
    for k in range(1, len(schedule.betas)):
        log_w += (schedule.betas[k] - schedule.betas[k - 1]) * _log_ratio(chains)
        chains, _ = transition(path.visit, chains, schedule.betas[k], schedule.steps[k], generator)
    return chains, log_w


def reverse(path: Path, schedule: Schedule, chains: Chains, generator: Generator) -> Tensor:
    """log w of chains from near the model's distribution, which first walk at beta = 1: the mean of w is 1 / Z."""
    log_w = torch.zeros(len(chains.y), dtype=torch.float64)
    for _ in range(len(schedule.betas) // 4):
        chains, _ = transition(path.visit, chains, 1.0, schedule.steps[-1], generator)
    for k in range(len(schedule.betas) - 1, 0, -1):
        log_w -= (schedule.betas[k] - schedule.betas[k - 1]) * _log_ratio(chains)
        chains, _ = transition(path.visit, chains, schedule.betas[k - 1], schedule.steps[k - 1], generator)
    return log_w


def _drawn(y: Tensor, log_w: Tensor, generator: Generator) -> Tensor:
    """Half as many of the states y [m, d], drawn in proportion to their weights."""
    chosen = torch.multinomial((log_w - log_w.max()).exp(), len(log_w) // 2, replacement=True, generator=generator)
    return y[chosen.to(y.device)]


def _some(y: Tensor, m: int, generator: Generator) -> Tensor:
    """m rows of y [n, d]."""
    return y[torch.randint(len(y), (m,), generator=generator).to(y.device)]


def _normal(path: Path, m: int, generator: Generator) -> Chains:
    return path.visit(torch.randn(m, path.mean.numel(), generator=generator).to(path.mean))


def _log_ratio(chains: Chains) -> Tensor:
    """log f_1 - log f_0, [m] float64 on the CPU."""
    log_normal = -0.5 * (chains.y.double() ** 2 + math.log(2 * math.pi)).sum(1)
    return (chains.log_f.double() - log_normal).cpu()


def log_mean_exp(log_w: Tensor) -> tuple[float, float]:
    """log of the mean of exp(log_w), and its standard error by the delta method."""
    if not log_w.max().isfinite() or log_w.isnan().any():
        raise NoLikelihood("AIS: no chain has a finite weight")
    w = (log_w - log_w.max()).exp()
    mean = w.mean()
    return (mean.log() + log_w.max()).item(), (w.std() / mean / math.sqrt(len(w))).item()
