"""Flow matching: regression on the speed of straight paths from noise to data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.capabilities import Conditional, Velocity, expand, labelled, supports
from genzoo.coupling import optimal_transport
from genzoo.protocols import Batch
from genzoo_diffusion.drawn import adam, evenly, normal_quantile


@dataclass(frozen=True, kw_only=True)
class FlowMatchingTrainer:
    """E |v((1 - t) x_0 + t x_1, t) - (x_1 - x_0)|^2 over noise x_0, data x_1 and times t.

    With the optimal-transport coupling the noise of a batch is dealt out to its data so that the squared distances are
    least, within each class if the model is told of classes; the paths then cross less and curve less.

    References: Flow Matching for Generative Modeling (Lipman et al., 2023); Improving and Generalizing Flow-Based
    Generative Models with Minibatch Optimal Transport (Tong et al., 2024); Scaling Rectified Flow Transformers for
    High-Resolution Image Synthesis (Esser et al., 2024), for the times.

    Args:
        lr: Learning rate.
        beta2: Of Adam; the papers, whose trainings are long, have 0.999.
        coupling: Which noise goes to which data.
        times: ``uniform``, or ``logit-normal``: log(t / (1 - t)) = -log sigma is normal.
        mean_logit: Its mean, 0 by default: 0 is dense half way, 1.2 nearer to the data, as EDM trains.
        std_logit: Its standard deviation, 1 by default.
        label_dropout: Share of the labels that a conditional model is not told.

    Raises:
        ValueError: moments of the logit for uniform times.
    """

    lr: PositiveFloat = 2e-3
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    coupling: Literal["independent", "optimal-transport"] = "independent"
    times: Literal["uniform", "logit-normal"] = "uniform"
    mean_logit: float | None = None
    std_logit: PositiveFloat | None = None
    label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    needs: ClassVar[tuple[type, ...]] = (Velocity,)
    low_precision: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("mean_logit", "std_logit"):
            if self.times == "uniform" and (given := getattr(self, name)) is not None:
                told = f"{name}={given:g} has no effect on uniform times"
                raise ValueError(f"{told}: leave it out or set times='logit-normal'")

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return adam(model, self.lr, self.beta2)

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        x, given = batch.x, labelled(model, batch.y, self.label_dropout)
        noise = torch.randn_like(x)
        if self.coupling == "optimal-transport":
            noise = optimal_transport(noise, x, batch.y if supports(model, (Conditional,)) else None)
        t = self._times(evenly(len(x), x.device))
        x_t = torch.lerp(noise, x, expand(t, x))
        yield "model", ((given.velocity(x_t, t) - (x - noise)) ** 2).mean()

    def _times(self, u: Tensor) -> Tensor:
        if self.times == "uniform":
            return u
        mean, std = self.mean_logit or 0.0, 1.0 if self.std_logit is None else self.std_logit
        return (mean + std * normal_quantile(u)).sigmoid()
