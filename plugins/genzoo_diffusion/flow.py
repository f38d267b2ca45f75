"""The flow of noise to data along straight paths, for anything that denoises."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Generator, Tensor

from genzoo.capabilities import NoisyScore, Velocity, as_denoiser, supports
from genzoo_diffusion.ancestral import normal

Speed = Callable[[Any, float], Any]
"""dx/dt of x at t; of numbers too, where all is linear."""


def euler(speed: Speed, x: Any, t: float, h: float) -> Any:
    """One call, first order."""
    return x + h * speed(x, t)


def midpoint(speed: Speed, x: Any, t: float, h: float) -> Any:
    """Two calls, second order."""
    return x + h * speed(x + h / 2 * speed(x, t), t + h / 2)


def heun(speed: Speed, x: Any, t: float, h: float) -> Any:
    """Two calls, second order."""
    first = speed(x, t)
    return x + h / 2 * (first + speed(x + h * first, t + h))


SOLVERS: dict[str, Callable[[Speed, Any, float, float], Any]] = {"euler": euler, "midpoint": midpoint, "heun": heun}


@dataclass(frozen=True, kw_only=True)
class Flow:
    """dx/dt = v(x, t) from N(0, I) at t = 0 to data at t = 1, in equal steps.

    A model without a velocity has that of its denoised data, v = (D - x) / (1 - t) at sigma = (1 - t) / t, with sigma
    kept within its range; Euler's method is then DDIM. Heun's method takes its last step by Euler's.

    References: Flow Matching for Generative Modeling (Lipman et al., 2023); Flow Straight and Fast: Learning to
    Generate and Transfer Data with Rectified Flow (Liu et al., 2023).

    Args:
        num_steps: Steps.
        solver: ``euler`` (a call a step), ``midpoint`` (two), or ``heun`` (two, but one for the last).
    """

    num_steps: PositiveInt = 50
    solver: Literal["euler", "midpoint", "heun"] = "midpoint"
    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)
    low_precision: ClassVar[bool] = True

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """The state after each step."""
        yield from self._walk(speed_of(model), normal(model, n, generator))

    def expected_std(self, model: Any, std: float) -> float:
        """Of what N(mean, std^2) becomes, whose velocity is linear: each step multiplies the state by a number."""
        *_, scale = self._walk(lambda x, t: x * (t * std**2 - (1 - t)) / (t**2 * std**2 + (1 - t) ** 2), 1.0)
        return scale

    def _walk(self, speed: Speed, x: Any) -> Iterator[Any]:
        for i in range(self.num_steps):
            last = i == self.num_steps - 1
            step = euler if last and self.solver == "heun" else SOLVERS[self.solver]
            x = step(speed, x, i / self.num_steps, 1 / self.num_steps)
            yield x


def speed_of(model: Any) -> Speed:
    """dx/dt [n, *shape] of x at t, by the model's velocity or else by what it makes of noisy data."""
    if supports(model, (Velocity,)):
        return lambda x, t: model.velocity(x, torch.tensor(t, device=x.device))
    denoiser = as_denoiser(model)
    least, most = 1 / (1 + denoiser.sigma_max), 1 / (1 + denoiser.sigma_min)

    def speed(x: Tensor, t: float) -> Tensor:
        seen = min(max(t, least), most)
        clean = denoiser.denoise(x / seen, torch.tensor((1 - seen) / seen, device=x.device))
        return (clean - x) / (1 - t)

    return speed
