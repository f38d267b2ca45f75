"""From noise to data, by many small strokes.

``ddpm`` and ``ddim`` drive diffusers' schedulers with a NoisePredictor; ``probability-flow`` and ``reverse-sde`` work
on anything that denoises. All start from N(0, I) at the noisiest level.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import NoisePredictor, NoisyScore, as_noisy_score
from genzoo.images import is_image


def _noise(model: Any, n: int, generator: Generator) -> Tensor:
    return torch.randn((n, *model.shape), generator=generator, device=generator.device)


@dataclass(frozen=True)
class Respaced:
    """The noise process restricted to ``num_steps`` of its T timesteps, evenly spaced, the noisiest among them.

    beta'_i = 1 - abar_{tau_i} / abar_{tau_{i-1}}: a process of its own, on which diffusers' schedulers take every step,
    so that any number of steps is exact (on the whole process their stride is T // num_steps, rounded down).

    Reference: Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), section 4.
    """

    timesteps: Tensor
    abar: Tensor

    @classmethod
    def of(cls, model: Any, num_steps: int) -> "Respaced":
        """At most T steps of the model's process."""
        abar = torch.cumprod(1 - model.betas.detach().cpu().double(), 0)
        n = min(num_steps, len(abar))
        timesteps = (torch.arange(1, n + 1) * len(abar) / n).round().long() - 1
        return cls(timesteps, abar[timesteps])

    def config(self, clip: bool) -> dict[str, Any]:
        """What diffusers' schedulers are made with."""
        before = torch.cat([torch.ones(1, dtype=torch.float64), self.abar[:-1]])
        betas = (1 - self.abar / before).float().numpy()
        return {"trained_betas": betas, "num_train_timesteps": len(betas), "clip_sample": clip}

    def states(self, scheduler: Any, model: Any, x: Tensor, generator: Generator, **eta: float) -> Iterator[Tensor]:
        """The states of a scheduler of this process, from noise to data."""
        scheduler.set_timesteps(len(self.timesteps))
        for i in scheduler.timesteps:
            noise = model.predict(x, self.timesteps[i].to(x.device))
            x = scheduler.step(noise, i, x, generator=generator, **eta).prev_sample
            yield x


@dataclass(frozen=True, kw_only=True)
class DDPMSampler:
    """Ancestral sampling: x_{t-1} ~ N(mu(x_t, eps), beta_t), by diffusers' DDPMScheduler.

    Images are clipped to [-1, 1] where x_0 is predicted; points are not.

    Reference: Denoising Diffusion Probabilistic Models (Ho et al., 2020), algorithm 2.

    Args:
        num_steps: Network calls; at most the model's number of timesteps.
    """

    num_steps: PositiveInt = 1000
    needs: ClassVar[tuple[type, ...]] = (NoisePredictor,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """x_{T-1}, ..., x_0."""
        from diffusers import DDPMScheduler

        process = Respaced.of(model, self.num_steps)
        scheduler = DDPMScheduler(**process.config(is_image(model.shape)), variance_type="fixed_large")
        yield from process.states(scheduler, model, _noise(model, n, generator), generator)


@dataclass(frozen=True, kw_only=True)
class DDIMSampler:
    """The deterministic (eta = 0) or partly random walk over a subset of the timesteps, by diffusers' DDIMScheduler.

    Reference: Denoising Diffusion Implicit Models (Song et al., 2021), equation 12.

    Args:
        num_steps: Network calls; at most the model's number of timesteps.
        eta: Share of DDPM's noise.
    """

    num_steps: PositiveInt = 50
    eta: Annotated[float, Field(ge=0, le=1)] = 0.0
    needs: ClassVar[tuple[type, ...]] = (NoisePredictor,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The visited states, from noisy to clean."""
        from diffusers import DDIMScheduler

        process = Respaced.of(model, self.num_steps)
        scheduler = DDIMScheduler(**process.config(is_image(model.shape)))
        yield from process.states(scheduler, model, _noise(model, n, generator), generator, eta=self.eta)

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes at eta = 0: each step multiplies the state by a number."""
        abar, v, scale = [1.0, *Respaced.of(model, self.num_steps).abar.tolist()], std**2, 1.0
        for b, a in reversed(list(itertools.pairwise(abar))):
            scale *= (b**0.5 * a**0.5 * v + (1 - b) ** 0.5 * (1 - a) ** 0.5) / (a * v + 1 - a)
        return scale


def karras_sigmas(sigma_min: float, sigma_max: float, num_steps: int, rho: float = 7.0) -> Tensor:
    """Noise levels from sigma_max to sigma_min, dense near the data, [num_steps] float64.

    Reference: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), equation 5.
    """
    ramp = torch.linspace(0, 1, num_steps, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (high + ramp * (low - high)) ** rho


@dataclass(frozen=True, kw_only=True)
class ProbabilityFlow:
    """The probability-flow ODE dx / dsigma = -sigma grad log p(x; sigma), by Heun's method.

    The state is the data plus sigma times noise; from the smallest sigma one last denoising step goes to zero.

    References: Score-Based Generative Modeling through Stochastic Differential Equations (Song et al., 2021);
    Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), algorithm 1.

    Args:
        num_steps: Heun steps, of two network calls each; 30 widen a Gaussian by 2 %.
    """

    num_steps: PositiveInt = 30
    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        noisy = as_noisy_score(model)
        sigmas = karras_sigmas(noisy.sigma_min, noisy.sigma_max, self.num_steps + 1).float().to(generator.device)
        x = sigmas[0] * _noise(model, n, generator)
        for sigma, lower in itertools.pairwise(sigmas):
            slope = -sigma * noisy.noisy_score(x, sigma)
            euler = x + (lower - sigma) * slope
            x = x + (lower - sigma) * 0.5 * (slope - lower * noisy.noisy_score(euler, lower))
            yield x
        yield x + sigmas[-1] ** 2 * noisy.noisy_score(x, sigmas[-1])

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes, whose score is linear: each step multiplies the state by a number."""
        noisy, v = as_noisy_score(model), std**2
        sigmas = karras_sigmas(noisy.sigma_min, noisy.sigma_max, self.num_steps + 1).tolist()
        scale = sigmas[0]
        for sigma, lower in itertools.pairwise(sigmas):
            slope = sigma / (v + sigma**2)
            euler = 1 + (lower - sigma) * slope
            scale *= 1 + (lower - sigma) * 0.5 * (slope + euler * lower / (v + lower**2))
        return scale * v / (v + sigmas[-1] ** 2)


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

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state at each noise level, then the clean sample."""
        noisy = as_noisy_score(model)
        sigmas = karras_sigmas(noisy.sigma_min, noisy.sigma_max, self.num_steps).float().to(generator.device)
        x = sigmas[0] * _noise(model, n, generator)
        for sigma, lower in itertools.pairwise(sigmas):
            drop = sigma**2 - lower**2
            x = x + drop * noisy.noisy_score(x, sigma) + (drop * lower / sigma).sqrt() * _noise(model, n, generator)
            yield x
        yield x + sigmas[-1] ** 2 * noisy.noisy_score(x, sigmas[-1])

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes: each transition is a linear map plus Gaussian noise."""
        noisy, v = as_noisy_score(model), std**2
        sigmas = karras_sigmas(noisy.sigma_min, noisy.sigma_max, self.num_steps).tolist()
        variance = sigmas[0] ** 2
        for sigma, lower in itertools.pairwise(sigmas):
            drop = sigma**2 - lower**2
            variance = variance * (1 - drop / (v + sigma**2)) ** 2 + drop * lower / sigma
        return variance**0.5 * v / (v + sigmas[-1] ** 2)
