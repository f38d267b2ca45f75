"""How well a model predicts held-out data: bits per dimension of images, nats of points, and what kind of number it is.

============================================================  ==================================================
kind                                                          what is computed
============================================================  ==================================================
``exact``                                                     log P of the levels, or log p of points
``lower bound (variational)``                                 one draw of a bound of either for each example
``lower bound (uniform dequantisation)``                      a density of images: see below
``lower bound (variational, uniform dequantisation)``         both
``quadrature``                                                an energy in the plane, its partition function summed
``none``                                                      nothing; ``reason`` says why
============================================================  ==================================================

A density p of continuous x gives the image with levels k the mass P(k) = integral of p over a cube around k with the
side D = 2 / (L - 1) of one level. By Jensen's inequality, with u uniform on (-1/2, 1/2) in each of the d dimensions::

    log P(k) >= E_u[log p(k + D u)] + d log D

so an exact density bounds the likelihood of images from below (A Note on the Evaluation of Generative Models, Theis et
al., 2016). Bits per dimension are -log P / (d log 2), so a lower bound of the likelihood is an upper bound of the bits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import Density, Energy, LowerBound, Mass, as_energy, offers, supports
from genzoo.evaluation.checks import subset
from genzoo.evaluation.record import Likelihood, Unit

EXACT, VARIATIONAL, DEQUANTISED = "exact", "variational", "uniform dequantisation"
QUADRATURE, NONE = "quadrature", "none"
REACH = 8.0
INNER_REACH = 6.0
CELLS = 1024
MAX_OUTSIDE = 1e-3
MAX_COARSE_ERROR = 0.01

LogLikelihood = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Method:
    """log p or log P of examples, [n] nats, whether of a density, and the kind of number."""

    log_likelihood: LogLikelihood
    of_density: bool
    approximations: tuple[str, ...] = ()


class _NoLikelihoodError(Exception):
    """The reason."""


def likelihood(
    model: nn.Module,
    test_x: Tensor,
    levels: int | None,
    *,
    num_images: int | None = 256,
    batch_size: int = 128,
    seed: int = 0,
) -> Likelihood:
    """The mean negative log-likelihood of ``test_x`` [n, *shape] in [-1, 1] (or points), and its standard error.

    Args:
        levels: grey levels of images; None for points.
        num_images: a random subset this large, fixed by ``seed``; None for all. Points are always all used.
        seed: fixes the subset, the dequantisation noise and the draws of a stochastic bound.
    """
    unit: Unit = "nats" if levels is None else "bits/dim"
    x = test_x if levels is None or num_images is None else test_x[subset(len(test_x), num_images, seed)]
    model = model.eval()
    try:
        with torch.no_grad():
            method = _method(model, levels)
            x = x.to(_device(model))
            log_likelihood = _evaluate(method, x, levels, batch_size, seed)
    except _NoLikelihoodError as error:
        return Likelihood(value=None, unit=unit, kind=NONE, reason=str(error))
    num_bad = int((~log_likelihood.isfinite()).sum())
    if num_bad:
        reason = f"log-likelihood is not finite for {num_bad} of {len(x)} test examples"
        return Likelihood(value=None, unit=unit, kind=NONE, n=len(x), reason=reason)
    loss = -log_likelihood / (1 if levels is None else x[0].numel() * math.log(2))
    se = (loss.std() / math.sqrt(len(loss))).item() if len(loss) > 1 else None
    return Likelihood(value=loss.mean().item(), unit=unit, kind=_kind(method, levels), se=se, n=len(x))


def _device(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _method(model: nn.Module, levels: int | None) -> _Method:
    """The strongest statement that the model's capabilities allow."""
    if levels is not None and isinstance(model, Mass):
        return _Method(model.log_mass, of_density=False)
    if isinstance(model, Density):
        return _Method(model.log_prob, of_density=True)
    if isinstance(model, LowerBound) and (levels is not None or model.bounds == "density"):
        return _Method(model.log_bound, model.bounds == "density", (VARIATIONAL,))
    if supports(model, (Energy,)):
        return _by_quadrature(model)
    raise _NoLikelihoodError(f"no likelihood: the model offers {', '.join(offers(model)) or 'nothing'}")


def _kind(method: _Method, levels: int | None) -> str:
    if method.approximations == (QUADRATURE,):
        return QUADRATURE
    steps = (*method.approximations, *((DEQUANTISED,) if method.of_density and levels is not None else ()))
    return f"lower bound ({', '.join(steps)})" if steps else EXACT


def _evaluate(method: _Method, x: Tensor, levels: int | None, batch_size: int, seed: int) -> Tensor:
    """log P of each example, [n] float64, on the CPU; the global random state is left as it was."""
    shift = 0.0
    if method.of_density and levels is not None:
        side = 2 / (levels - 1)
        x = x + side * (torch.rand(x.shape, generator=Generator().manual_seed(seed)).to(x) - 0.5)
        shift = x[0].numel() * math.log(side)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # a bound's own draws take the global stream: the capability has no generator
        parts = [method.log_likelihood(part).double().cpu() for part in x.split(batch_size)]
    return torch.cat(parts) + shift


def _by_quadrature(model: Any) -> _Method:
    """log p = -E - log Z of an energy in the plane, Z by a lattice of 1024 x 1024 on [-8, 8]^2.

    Points stand off the middle of their cells, so that no symmetric energy looks the same to every other one of them.
    """
    if tuple(model.shape) != (2,):
        raise _NoLikelihoodError("the energy is not normalised; its partition function is summed only in the plane")
    energy, axis = as_energy(model).energy, (torch.arange(CELLS) + 0.3) * (2 * REACH / CELLS) - REACH
    grid = torch.cartesian_prod(axis, axis).to(_device(model))
    minus_energy = -torch.cat([energy(part).double().cpu() for part in grid.split(1 << 15)]).reshape(CELLS, CELLS)
    log_z = minus_energy.flatten().logsumexp(0)
    _check_quadrature(minus_energy, axis, log_z)
    log_z = log_z + 2 * math.log(2 * REACH / CELLS)
    return _Method(lambda x: -energy(x).double() - log_z.to(x.device), of_density=True, approximations=(QUADRATURE,))


def _check_quadrature(minus_energy: Tensor, axis: Tensor, log_sum: Tensor) -> None:
    """The mass must lie inside the square, and every other cell must tell the same."""
    inner = axis.abs() < INNER_REACH
    outside = 1 - (minus_energy[inner][:, inner].flatten().logsumexp(0) - log_sum).exp().item()
    if not outside < MAX_OUTSIDE:
        raise _NoLikelihoodError(f"{100 * outside:.1f} % of the energy's mass lies outside [-6, 6]^2: no sure integral")
    halves = [minus_energy[i::2, i::2].flatten().logsumexp(0) + math.log(4) - log_sum for i in (0, 1)]
    if max(abs(half.item()) for half in halves) > MAX_COARSE_ERROR:
        raise _NoLikelihoodError(f"the energy is too rough for quadrature with cells of {2 * REACH / CELLS:.3f}")
