"""Energy matching."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Conditional, Energy, as_energy, expand, labelled, supports
from genzoo.coupling import optimal_transport
from genzoo.protocols import Batch
from genzoo_ebm.buffer import Pace, Walks, gone_on, state_of
from genzoo_ebm.contrastive import potential_gap
from genzoo_ebm.gradients import slope
from genzoo_ebm.model import flow_walk
from genzoo_ebm.walks import first_states, fit_base, fork, own_num_steps, step_size, temperature_of

COLD = 0.01
"""T of a model that has none of its own."""
SHARE = 4
LIVES = 3


@dataclass(kw_only=True)
class EnergyMatching:
    """A potential V = T E whose downhill flow carries noise to data, and whose Boltzmann density is theirs.

    L = E |grad V(x_t) + x - z|^2 / d + a (E_data[V(x)] - E_walk[V(x)]), with x_t = (1 - t) z + t x, t uniform, z where
    the model's walks start, dealt to the x by optimal transport. T is the model's ``temperature``. Langevin steps of
    size e pass a time e / (2 T) of the flow: at time 1 they reach the data, and go on there at temperature T. The
    second term, with such walks kept from step to step, comes in after ``warmup_steps``; a shorter training is flow
    matching alone. A quarter of a batch's size walks; a walk counts from time 1 and begins anew at time 3.

    Reference: Energy Matching: Unifying Flow Matching and Energy-Based Models for Generative Modeling (Balcerak et
    al., 2025).

    Args:
        lr: Learning rate.
        warmup_steps: Training steps before walks begin.
        contrast: a, the weight of contrastive divergence.
        num_steps: Langevin steps per training step.
        step: Langevin step size e; the model's own by default, or 0.01.
        buffer: Walks kept.
    """

    lr: PositiveFloat = 2e-3
    warmup_steps: NonNegativeInt = 1000
    contrast: NonNegativeFloat = 1e-3
    num_steps: PositiveInt = 5
    step: PositiveFloat | None = None
    buffer: PositiveInt = 256
    low_precision: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (Energy,)
    walks: Walks | None = field(default=None, init=False, repr=False)
    taken: int = field(default=0, init=False, repr=False)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr, betas=(0.9, 0.95), fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian to the first batch; cool a model whose walks would end before time 1."""
        fit_base(model, batch.x)
        if hasattr(model, "settle") and own_num_steps(model) < self._arrival(model):
            model.settle(**flow_walk(model.shape, COLD))

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        labels = batch.y if supports(model, (Conditional,)) else None
        loss = self._transport(model, batch.x, labels)
        if self.contrast and self.taken >= self.warmup_steps:
            loss = loss + self.contrast * self._contrast(model, batch.x, labels)
        self.taken += 1
        yield "model", loss

    def _transport(self, model: Any, x: Tensor, labels: Tensor | None) -> Tensor:
        z = optimal_transport(first_states(model, len(x), fork(x.device)), x, labels)
        t = expand(torch.rand(len(x), device=x.device), x)
        downhill = slope(as_energy(labelled(model, labels)), torch.lerp(z, x, t)) * temperature_of(model)
        return (downhill + x - z).square().mean()

    def _contrast(self, model: Any, x: Tensor, labels: Tensor | None) -> Tensor:
        walked = self._walk(model, max(1, len(x) // SHARE), labels)
        arrived = walked.age >= self._arrival(model)
        walked = walked.at(arrived)
        n = len(walked.x)
        both = labelled(model, walked.labels_after(None if labels is None else labels[:n]))
        real, fake = (temperature_of(model) * as_energy(both).energy(torch.cat([x[:n], walked.x]))).chunk(2)
        return potential_gap(real, fake, x[0].numel() * temperature_of(model))

    def _walk(self, model: Any, n: int, labels: Tensor | None) -> Walks:
        generator = fork(next(model.parameters()).device)
        self.walks = self.walks or Walks.begin(model, max(self.buffer, n), labels, generator)
        pace = Pace(self.num_steps, step_size(self.step, model), LIVES * self._arrival(model))
        return gone_on(self.walks, model, Walks.begin(model, n, labels, generator), pace, generator)

    def _arrival(self, model: Any) -> int:
        """The number of steps in which time 1 passes."""
        steps = 2 * temperature_of(model) / step_size(self.step, model)
        return math.ceil(round(steps, 4))  # both are float32

    def state_dict(self) -> dict[str, Tensor]:
        """The walks and the number of steps."""
        return {**state_of(self.walks), "taken": torch.tensor(self.taken)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where a training was."""
        tensors = dict(state)
        self.taken = int(tensors.pop("taken"))
        self.walks = Walks(**tensors) if tensors else None
