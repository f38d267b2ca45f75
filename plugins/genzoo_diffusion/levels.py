"""Samplers over falling noise levels, for anything that denoises.

The state is the data plus sigma times noise; all start at the noisiest level, 80 at most. Denoised images are not
clipped to [-1, 1] on the way: errors about black would then go one way only, and add up over the steps.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import Denoiser, as_denoiser
from genzoo_diffusion.ancestral import normal

MOST = 80.0
"""Beyond it the data are lost in the noise: the cosine schedule would go on to 20,000."""

Clean = Callable[[Any, float], Any]
"""D(x; sigma); of numbers too, where all is linear."""


def clean_of(model: Any) -> Clean:
    """D(x; sigma) [n, *shape]."""
    denoiser = as_denoiser(model)
    return lambda x, sigma: denoiser.denoise(x, torch.tensor(sigma, device=x.device))


def clean_of_normal(std: float) -> Clean:
    """D(x; sigma) of N(0, std^2)."""
    return lambda x, sigma: x * std**2 / (std**2 + sigma**2)


def begin(clean: Clean, z: Any, sigma: float) -> tuple[Any, Any]:
    """The state at the noisiest level and its denoised data, one call for both::

        x = D + sigma z     D = D(sigma z; sigma)     z ~ N(0, I)

    That is DDIM's step from infinite noise, where D is the mean of the data. Samples of a state without the mean would
    lack std / sigma of it, as the way to the data shrinks every offset by that much. If the data are N(m, v), then
    D = (1 - k) m + k sigma z with k = v / (v + sigma^2), and so::

        x = (1 - k) m + (1 + k) sigma z     where m + sigma z / sqrt(1 - k) is right
        D(x; sigma) = D + k D               where the first step takes D

    Both errors are of the order of k, the square of std / sigma.
    """
    found = clean(sigma * z, sigma)
    return found + sigma * z, found


def karras_sigmas(sigma_min: float, sigma_max: float, num_steps: int, rho: float = 7.0) -> Tensor:
    """Noise levels from sigma_max to sigma_min, dense near the data, [num_steps] float64.

    Reference: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), equation 5.
    """
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


def levels_of(model: Any, num_steps: int) -> list[float]:
    """``num_steps`` noise levels of the model; the noisiest alone if it is one."""
    denoiser = as_denoiser(model)
    return karras_sigmas(denoiser.sigma_min, min(denoiser.sigma_max, MOST), num_steps).tolist()


@dataclass(frozen=True, kw_only=True)
class ProbabilityFlow:
    """The probability-flow ODE dx / dsigma = (x - D(x; sigma)) / sigma, by Heun's method.

    From the smallest sigma one last step goes to zero, which is to denoise.

    References: Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021);
    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), algorithm 1.

    Args:
        num_steps: Steps N, the last among them; 2 N - 1 network calls.
    """

    num_steps: PositiveInt = 18
    needs: ClassVar[tuple[type, ...]] = (Denoiser,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        yield from self._walk(clean_of(model), normal(model, n, generator), levels_of(model, self.num_steps))

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes: D is a multiple of the state, and so is every state of z."""
        *_, scale = self._walk(clean_of_normal(std), 1.0, levels_of(model, self.num_steps))
        return scale

    def _walk(self, clean: Clean, z: Any, sigmas: list[float]) -> Iterator[Any]:
        x, found = begin(clean, z, sigmas[0])
        for sigma, lower in itertools.pairwise(sigmas):
            slope = (x - found) / sigma
            euler = x + (lower - sigma) * slope
            x = x + (lower - sigma) / 2 * (slope + (euler - clean(euler, lower)) / lower)
            yield x
            found = clean(x, lower)
        yield found


@dataclass(frozen=True, kw_only=True)
class DPMSolver:
    """The probability-flow ODE by DPM-Solver++(2M): a second-order step for one network call.

    In lambda = -log sigma the ODE is linear but for the denoised data D, which the solver extends from the last two
    calls: x' = sigma' / sigma x + (1 - sigma' / sigma) (D + (D - D_before) h / 2 h_before). The first step, which has
    no call before it, and the last, to sigma = 0, take D as it is.

    Reference: DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (Lu et al., 2022),
    algorithm 2.

    Args:
        num_steps: Network calls.
    """

    num_steps: PositiveInt = 25
    needs: ClassVar[tuple[type, ...]] = (Denoiser,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        yield from self._walk(clean_of(model), normal(model, n, generator), levels_of(model, self.num_steps))

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes: D is a multiple of the state, and so is every state of z."""
        *_, scale = self._walk(clean_of_normal(std), 1.0, levels_of(model, self.num_steps))
        return scale

    def _walk(self, clean: Clean, z: Any, sigmas: list[float]) -> Iterator[Any]:
        x, found = begin(clean, z, sigmas[0])
        before, h_before = found, math.inf
        for sigma, lower in itertools.pairwise(sigmas):
            h = math.log(sigma / lower)
            ahead = found + h / (2 * h_before) * (found - before)
            x = ahead + lower / sigma * (x - ahead)
            yield x
            before, found, h_before = found, clean(x, lower), h
        yield found


@dataclass(frozen=True, kw_only=True)
class ReverseSDE:
    """The reverse of dx = noise of variance d sigma^2, from one noise level to the next:

    x' = D + (sigma' / sigma)^2 (x - D) + sqrt((sigma^2 - sigma'^2) sigma' / sigma) N(0, I)     D = D(x; sigma).

    The variance is the geometric mean of the two that bound the true one (beta for data of infinite spread, beta-tilde
    for a single point): on a Gaussian, 100 steps are then 0.5 % off where either alone is 6 %.

    References: Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021), equation
    6; Denoising Diffusion Probabilistic Models (Ho et al., 2020), section 3.2, for the two variances.

    Args:
        num_steps: Network calls.
    """

    num_steps: Annotated[int, Field(ge=2)] = 100
    needs: ClassVar[tuple[type, ...]] = (Denoiser,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        sigmas, clean = levels_of(model, self.num_steps), clean_of(model)
        x, found = begin(clean, normal(model, n, generator), sigmas[0])
        for sigma, lower in itertools.pairwise(sigmas):
            x = found + (lower / sigma) ** 2 * (x - found) + fresh_std(sigma, lower) * normal(model, n, generator)
            yield x
            found = clean(x, lower)
        yield found

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes: each transition is a linear map plus Gaussian noise."""
        sigmas, clean = levels_of(model, self.num_steps), clean_of_normal(std)
        x, found = begin(clean, 1.0, sigmas[0])
        for sigma, lower in itertools.pairwise(sigmas):
            x = math.hypot(found + (lower / sigma) ** 2 * (x - found), fresh_std(sigma, lower))
            found = clean(x, lower)
        return found


def fresh_std(sigma: float, lower: float) -> float:
    """The noise that a step of the reverse process adds."""
    return math.sqrt((sigma**2 - lower**2) * lower / sigma)
