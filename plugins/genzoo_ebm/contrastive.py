"""Contrastive divergence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Conditional, Energy, as_energy, labelled, supports
from genzoo.images import is_image
from genzoo.protocols import Batch
from genzoo_ebm.buffer import Walks, state_of
from genzoo_ebm.walks import confine_of, fork, spread_of, step_size

MOST = 100.0


@dataclass(kw_only=True)
class ContrastiveDivergence:
    """Lower the energy of the data and raise it where Langevin walks have come to.

    L = sqrt(d) softplus(g / sqrt(d)) + a E[E(x)^2] / d, with the gap g = E_data[E(x)] - E_walk[E(x)] and d numbers in
    an example. The slope of the first term is that of g, times a number between 0 and 1 that is small where g is far
    below 0: where walks are much worse than data they have failed, and pushing on would only make energies steeper.
    Persistent walks go on from a replay buffer, where ``restart`` of them begin anew; short runs begin anew each time.

    References: Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002); Training Restricted
    Boltzmann Machines using Approximations to the Likelihood Gradient (Tieleman, 2008); Implicit Generation and
    Modeling with Energy-Based Models (Du and Mordatch, 2019); Learning Non-Convergent Non-Persistent Short-Run MCMC
    Toward Energy-Based Model (Nijkamp et al., 2019).

    Args:
        lr: Learning rate.
        num_steps: Langevin steps per training step.
        step: Langevin step size; by default the model's own for images, 0.02 for points, which get about by larger
            steps than they are sampled with.
        noise: Standard deviation of the Gaussian noise on the data, in units of the model's ``spread``. Images, whose
            levels have no density, get by default as much as one Langevin step puts on them; points none.
        persistent: Whether walks go on from where they were.
        buffer: Persistent walks kept; as many as a batch has examples at least. Each should be walked on many times:
            10,000 are for long trainings.
        restart: Probability that a walk begins anew.
        energy_penalty: a, the weight of the energies' squares.
    """

    lr: PositiveFloat = 1e-3
    num_steps: PositiveInt = 10
    step: PositiveFloat | None = None
    noise: NonNegativeFloat | None = None
    persistent: bool = True
    buffer: PositiveInt = 1024
    restart: Annotated[float, Field(ge=0, le=1)] = 0.05
    energy_penalty: NonNegativeFloat = 0.01
    low_precision: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (Energy,)
    walks: Walks | None = field(default=None, init=False, repr=False)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model, beta_1 = 0: the walks answer the last update, not a mean of updates."""
        return {"model": Adam(model.parameters(), lr=self.lr, betas=(0.0, 0.99), fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian to the first batch."""
        if hasattr(model, "initialize"):
            model.initialize(batch.x)

    def losses(self, model: nn.Module, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        x = confine_of(model)(batch.x + self._noise(model) * spread_of(model)(torch.randn_like(batch.x)))
        labels = batch.y if supports(model, (Conditional,)) else None
        walked = self._walk(model, len(x), labels)
        both = labelled(model, walked.labels_after(labels))
        real, fake = as_energy(both).energy(torch.cat([x, walked.x])).chunk(2)
        yield "model", self._loss(real, fake, x[0].numel())

    def _loss(self, real: Tensor, fake: Tensor, d: int) -> Tensor:
        patience = d**0.5  # about the spread of an energy over its own samples, sqrt(d / 2)
        squares = (real.square() + fake.square()).mean() / d
        return patience * F.softplus(energy_gap(real, fake, d) / patience) + self.energy_penalty * squares

    def _noise(self, model: Any) -> float:
        if self.noise is not None:
            return self.noise
        return self._step(model) ** 0.5 if is_image(model.shape) else 0.0

    def _step(self, model: Any) -> float:
        return step_size(self.step, model) if is_image(model.shape) else self.step or 0.02

    def _walk(self, model: nn.Module, n: int, labels: Tensor | None) -> Walks:
        """As many walked examples as the batch has."""
        generator = fork(next(model.parameters()).device)
        fresh = Walks.begin(model, n, labels, generator)
        if not self.persistent:
            return self._advance(fresh, model, generator)
        self.walks = self.walks or Walks.begin(model, max(self.buffer, n), labels, generator)
        rows = torch.randperm(len(self.walks.x), generator=generator, device=generator.device)[:n]
        restarts = torch.rand(n, generator=generator, device=generator.device) < self.restart
        walked = self._advance(self.walks.at(rows).anew(restarts, fresh), model, generator)
        self.walks.put(rows, walked)
        return walked

    def _advance(self, walks: Walks, model: nn.Module, generator: Generator) -> Walks:
        return walks.advance(model, self.num_steps, self._step(model), generator)

    def state_dict(self) -> dict[str, Tensor]:
        """The replay buffer."""
        return state_of(self.walks)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with a saved replay buffer."""
        self.walks = Walks(**state) if state else None


def energy_gap(real: Tensor, fake: Tensor, d: int) -> Tensor:
    """The mean energy of data less that of walks, in nats, of examples of d numbers.

    Raises:
        FloatingPointError: the walks run away: the gap is more than 100 nats a number, or not finite.
    """
    gap = real.mean() - fake.mean()
    size = gap.abs().item()
    if not size < MOST * d:
        told = f"the energies of data and walks are {size:.3g} nats apart, more than {MOST * d:.3g}"
        raise FloatingPointError(f"{told}: the walks run away (a smaller Langevin step helps)")
    return gap
