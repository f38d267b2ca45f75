"""Samplers over falling noise levels, for anything that denoises.

The state is the data plus sigma times noise; all start from N(0, sigma^2 I) at the noisiest level, 80 at most.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import Denoiser, NoisyScore, as_denoiser, as_noisy_score
from genzoo_diffusion.ancestral import normal

MOST = 80.0
"""Beyond it the data are lost in the noise: the cosine schedule would go on to 20,000."""


def karras_sigmas(sigma_min: float, sigma_max: float, num_steps: int, rho: float = 7.0) -> Tensor:
    """Noise levels from sigma_max to sigma_min, dense near the data, [num_steps] float64.

    Reference: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), equation 5.
    """
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


def levels_of(noisy: NoisyScore | Denoiser, num_steps: int) -> Tensor:
    """``num_steps`` noise levels of the model, [num_steps] float64; the noisiest alone if it is one."""
    return karras_sigmas(noisy.sigma_min, min(noisy.sigma_max, MOST), num_steps)


@dataclass(frozen=True, kw_only=True)
class ProbabilityFlow:
    """The probability-flow ODE dx / dsigma = -sigma grad log p(x; sigma), by Heun's method.

    From the smallest sigma one last step goes to zero, which is to denoise.

    References: Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021);
    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), algorithm 1.

    Args:
        num_steps: Steps N, the last among them; 2 N - 1 network calls.
    """

    num_steps: PositiveInt = 18
    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        noisy = as_noisy_score(model)
        sigmas = levels_of(noisy, self.num_steps).float().to(generator.device)
        x = sigmas[0] * normal(model, n, generator)
        for sigma, lower in itertools.pairwise(sigmas):
            slope = -sigma * noisy.noisy_score(x, sigma)
            euler = x + (lower - sigma) * slope
            x = x + (lower - sigma) * 0.5 * (slope - lower * noisy.noisy_score(euler, lower))
            yield x
        yield x + sigmas[-1] ** 2 * noisy.noisy_score(x, sigmas[-1])

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes, whose score is linear: each step multiplies the state by a number."""
        v, sigmas = std**2, levels_of(as_noisy_score(model), self.num_steps).tolist()
        scale = sigmas[0]
        for sigma, lower in itertools.pairwise(sigmas):
            slope = sigma / (v + sigma**2)
            euler = 1 + (lower - sigma) * slope
            scale *= 1 + (lower - sigma) * 0.5 * (slope + euler * lower / (v + lower**2))
        return scale * v / (v + sigmas[-1] ** 2)


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
        denoiser = as_denoiser(model)
        sigmas = levels_of(denoiser, self.num_steps).tolist()
        x, before = sigmas[0] * normal(model, n, generator), None
        for sigma, ratio, extend in _multistep(sigmas):
            clean = denoiser.denoise(x, torch.tensor(sigma, device=x.device))
            ahead = clean if before is None else torch.lerp(before, clean, 1 + extend)
            x, before = ahead + ratio * (x - ahead), clean
            yield x

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes: D is a multiple of the state, and so is every state of the first."""
        sigmas = levels_of(as_denoiser(model), self.num_steps).tolist()
        x, before = sigmas[0], None
        for sigma, ratio, extend in _multistep(sigmas):
            clean = x * std**2 / (std**2 + sigma**2)
            ahead = clean if before is None else clean + extend * (clean - before)
            x, before = ahead + ratio * (x - ahead), clean
        return x


def _multistep(sigmas: list[float]) -> Iterator[tuple[float, float, float]]:
    """Of every step its sigma, sigma' / sigma, and by how much D is extended: h / 2 h_before, 0 where it cannot be."""
    ends = [*sigmas[1:], 0.0]
    for i, (sigma, lower) in enumerate(zip(sigmas, ends, strict=True)):
        inner = 0 < i < len(sigmas) - 1
        yield sigma, lower / sigma, 0.5 * math.log(sigma / lower) / math.log(sigmas[i - 1] / sigma) if inner else 0.0


@dataclass(frozen=True, kw_only=True)
class ReverseSDE:
    """The reverse of dx = noise of variance d sigma^2, from one noise level to the next:

    x' = x + (sigma^2 - sigma'^2) grad log p(x; sigma) + sqrt((sigma^2 - sigma'^2) sigma' / sigma) N(0, I).

    The variance is the geometric mean of the two that bound the true one (beta for data of infinite spread, beta-tilde
    for a single point): on a Gaussian, 100 steps are then 0.5 % off where either alone is 6 %.

    References: Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021), equation
    6; Denoising Diffusion Probabilistic Models (Ho et al., 2020), section 3.2, for the two variances.

    Args:
        num_steps: Network calls.
    """

    num_steps: Annotated[int, Field(ge=2)] = 100
    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        noisy = as_noisy_score(model)
        sigmas = levels_of(noisy, self.num_steps).float().to(generator.device)
        x = sigmas[0] * normal(model, n, generator)
        for sigma, lower in itertools.pairwise(sigmas):
            drop = sigma**2 - lower**2
            x = x + drop * noisy.noisy_score(x, sigma) + (drop * lower / sigma).sqrt() * normal(model, n, generator)
            yield x
        yield x + sigmas[-1] ** 2 * noisy.noisy_score(x, sigmas[-1])

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes: each transition is a linear map plus Gaussian noise."""
        v, sigmas = std**2, levels_of(as_noisy_score(model), self.num_steps).tolist()
        variance = sigmas[0] ** 2
        for sigma, lower in itertools.pairwise(sigmas):
            drop = sigma**2 - lower**2
            variance = variance * (1 - drop / (v + sigma**2)) ** 2 + drop * lower / sigma
        return variance**0.5 * v / (v + sigmas[-1] ** 2)
