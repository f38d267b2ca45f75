"""Denoising of a discrete noise process: the simple loss, the variational bound, and the two together."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.capabilities import LearnedVariance, NoisePredictor, expand, labelled, supports
from genzoo.images import is_image
from genzoo.protocols import Batch
from genzoo_diffusion.drawn import adam, evenly
from genzoo_diffusion.variational import Steps

Objective = Literal["simple", "hybrid", "bound"]
Weighting = Literal["noise", "x0", "v"]

WEIGHTS: dict[Weighting, Callable[[Tensor], Tensor]] = {
    "noise": torch.ones_like,
    "x0": lambda abar: (1 - abar) / abar,
    "v": lambda abar: 1 / abar,
}
"""What makes the squared error of the noise that of x_0 or of v."""

HYBRID = 1e-3
FIRST = 0.02
"""How often the decoder's timestep is drawn, against once for all others."""


@dataclass(frozen=True)
class Noised:
    """A batch x at timesteps t [n] with its noise, as one model sees it."""

    steps: Steps
    x: Tensor
    t: Tensor
    eps: Tensor

    @classmethod
    def of(cls, steps: Steps, x: Tensor, t: Tensor) -> "Noised":
        """With fresh noise."""
        return cls(steps, x, t, torch.randn_like(x))

    @cached_property
    def x_t(self) -> Tensor:
        """sqrt(abar_t) x + sqrt(1 - abar_t) eps."""
        signal, noise = (expand(scale, self.x) for scale in self.steps.signal_and_noise(self.t))
        return signal * self.x + noise * self.eps

    def error(self, found: Tensor, weighting: Weighting) -> Tensor:
        """The mean weighted squared error of the noise, []."""
        weight = WEIGHTS[weighting](self.steps.abar[self.t])
        return (expand(weight, self.x) * (self.eps - found) ** 2).mean()

    def costs(self, found: Tensor, width: Tensor, levels: int | None) -> Tensor:
        """The step's part of the variational bound, [n], in bits per number."""
        signal, noise = (expand(scale, self.x) for scale in self.steps.signal_and_noise(self.t))
        clean = (self.x_t - noise * found) / signal
        return self.steps.costs(self.x, clean, width, self.t, levels) / (self.x[0].numel() * math.log(2))


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """E |target - prediction|^2 with t uniform, the simplified bound; or the variational bound itself.

    ``hybrid`` adds 0.001 times the bound, in bits per dimension, whose gradient reaches the learned variance alone;
    ``bound`` is the bound, its timesteps drawn more often where an error costs more.

    References: Denoising Diffusion Probabilistic Models (Ho et al., 2020), equation 14; Improved Denoising Diffusion
    Probabilistic Models (Nichol and Dhariwal, 2021), sections 3.1 to 3.3.

    Args:
        lr: Learning rate.
        beta2: Of Adam; the papers, whose trainings are long, have 0.999.
        objective: By default ``hybrid`` for a model that learns its variance, else ``simple``.
        weighting: Whose squared error the simple loss is: by default of what the model's net says.
        label_dropout: Share of the labels that a conditional model is not told.
        levels: Grey levels of images.

    Raises:
        ValueError: a weighting of the bound.
    """

    lr: PositiveFloat = 2e-3
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    objective: Objective | None = None
    weighting: Weighting | None = None
    label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    levels: PositiveInt | None = None
    low_precision: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.objective == "bound" and self.weighting is not None:
            raise ValueError(
                f"weighting={self.weighting!r} has no effect on objective='bound', which has weights of its own: "
                "leave it out, or take 'simple' or 'hybrid'"
            )

    @property
    def needs(self) -> tuple[type, ...]:
        """A prediction of the noise, and of its variance where the objective has both."""
        return (NoisePredictor, LearnedVariance) if self.objective == "hybrid" else (NoisePredictor,)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return adam(model, self.lr, self.beta2)

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        learned = supports(model, (LearnedVariance,))
        objective = self.objective or ("hybrid" if learned else "simple")
        given = labelled(model, batch.y, self.label_dropout)
        yield "model", _OBJECTIVES[objective](self, given, batch.x)

    def simple(self, model: Any, x: Tensor) -> Tensor:
        """E |target - prediction|^2, t uniform."""
        noised = self._uniform(model, x)
        return noised.error(model.predict(noised.x_t, noised.t), self._weighting(model))

    def hybrid(self, model: Any, x: Tensor) -> Tensor:
        """The simple loss, and 0.001 times the bound with the noise as it is predicted."""
        noised = self._uniform(model, x)
        found, width = model.predict_with_variance(noised.x_t, noised.t)
        costs = noised.costs(found.detach(), width, self._levels(model))
        return noised.error(found, self._weighting(model)) + HYBRID * len(model.betas) * costs.mean()

    def bound(self, model: Any, x: Tensor) -> Tensor:
        """The sum over all timesteps, in bits per dimension, without the prior that nothing can change."""
        steps, u = Steps.of(model.betas), evenly(len(x), x.device)
        t, weight = steps.drawn(u * (1 + FIRST) - FIRST)
        first = u < FIRST / (1 + FIRST)
        noised = Noised.of(steps, x, torch.where(first, 0, t))
        found, width = predicted(model, noised.x_t, noised.t)
        weight = (1 + FIRST) * torch.where(first, 1 / FIRST, weight)
        return (weight * noised.costs(found, width, self._levels(model))).mean()

    def _uniform(self, model: Any, x: Tensor) -> Noised:
        t = (evenly(len(x), x.device) * len(model.betas)).long()
        return Noised.of(Steps.of(model.betas), x, t)

    def _weighting(self, model: Any) -> Weighting:
        own: Weighting = getattr(model, "target", "noise")
        return self.weighting or own

    def _levels(self, model: Any) -> int | None:
        return self.levels if is_image(model.shape) else None


_OBJECTIVES: dict[Objective, Callable[[Denoising, Any, Tensor], Tensor]] = {
    "simple": Denoising.simple,
    "hybrid": Denoising.hybrid,
    "bound": Denoising.bound,
}


def predicted(model: Any, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The noise and w; of a model without learned variance w = 1, the variance beta."""
    if supports(model, (LearnedVariance,)):
        return model.predict_with_variance(x_t, t)
    return model.predict(x_t, t), torch.ones_like(x_t)
