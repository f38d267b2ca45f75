"""Contrastive divergence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Conditional, Energy, as_energy, labelled, supports
from genzoo.images import is_image
from genzoo.protocols import Batch
from genzoo_ebm.buffer import Walks, gone_on, state_of
from genzoo_ebm.walks import confine_of, fork, temperature_of

MOST = 100.0
MATURE = 0.4
IMAGES = {"step": 2.5e-5, "temperature": 1.25e-4, "noise": 0.03}
POINTS = {"step": 0.02, "temperature": 1.0, "noise": 0.0}


@dataclass(kw_only=True)
class ContrastiveDivergence:
    """Lower the energy of the data and raise it where Langevin walks have come to.

    L = g + a E[V(x)^2], with the potential V = T E and the gap g = E_data[V(x)] - E_walk[V(x)]; the second term is of
    data and of walks. A walk lives for ``lifetime`` steps, ``num_steps`` of them in a training step, and then begins
    anew where the model's walks start. It counts in the loss when it has lived for 0.4 of that: before, it is still
    far from data, and what tells it from them is soon learned. Sampled by as many steps, the model does what it was
    trained to do, whether or not such walks have forgotten where they began. Where ``lifetime`` is ``num_steps`` every
    walk is such a short run, begun anew in each training step.

    References: Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002); Training Restricted
    Boltzmann Machines using Approximations to the Likelihood Gradient (Tieleman, 2008); Implicit Generation and
    Modeling with Energy-Based Models (Du and Mordatch, 2019); Learning Non-Convergent Non-Persistent Short-Run MCMC
    Toward Energy-Based Model (Nijkamp et al., 2019).

    Args:
        lr: Learning rate.
        num_steps: Langevin steps per training step.
        lifetime: Steps of a walk from its start to its end.
        step: Langevin step size, 2.5e-5 for images by default; for points 0.02, which get about by larger steps than
            they are sampled with.
        temperature: T, which a model of images is set to; the default, 1.25e-4, makes a walk of little but drift.
        noise: Standard deviation of the Gaussian noise on the data, by default 0.03 for images, whose levels have no
            density, and none for points.
        buffer: Walks kept; as many as a batch has examples at least.
        energy_penalty: a, the weight of the potentials' squares.
    """

    lr: PositiveFloat = 1e-3
    num_steps: PositiveInt = 5
    lifetime: PositiveInt = 100
    step: PositiveFloat | None = None
    temperature: PositiveFloat | None = None
    noise: NonNegativeFloat | None = None
    buffer: PositiveInt = 512
    energy_penalty: NonNegativeFloat = 0.01
    low_precision: ClassVar[bool] = True
    needs: ClassVar[tuple[type, ...]] = (Energy,)
    walks: Walks | None = field(default=None, init=False, repr=False)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model, beta_1 = 0: the walks answer the last update, not a mean of updates."""
        return {"model": Adam(model.parameters(), lr=self.lr, betas=(0.0, 0.999), fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian to the first batch; a model of images keeps the walk that it is trained with."""
        if hasattr(model, "initialize"):
            model.initialize(batch.x)
        if hasattr(model, "settle") and is_image(model.shape):
            model.settle(step=self._own("step", model), temperature=self._own("temperature", model))

    def losses(self, model: nn.Module, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        x = confine_of(model)(batch.x + self._own("noise", model) * torch.randn_like(batch.x))
        labels = batch.y if supports(model, (Conditional,)) else None
        walked = self._walk(model, len(x), labels)
        both = labelled(model, walked.labels_after(labels))
        potentials = temperature_of(model) * as_energy(both).energy(torch.cat([x, walked.x]))
        real, fake = potentials.chunk(2)
        mature = walked.age >= MATURE * self.lifetime
        fake = fake[mature] if mature.any() else real
        squares = real.square().mean() + fake.square().mean()
        yield "model", energy_gap(real, fake, x[0].numel()) + self.energy_penalty * squares

    def _own(self, name: str, model: Any) -> float:
        asked: float | None = getattr(self, name)
        return asked if asked is not None else (IMAGES if is_image(model.shape) else POINTS)[name]

    def _walk(self, model: nn.Module, n: int, labels: Tensor | None) -> Walks:
        """As many walked examples as the batch has."""
        generator = fork(next(model.parameters()).device)
        if self.walks is None:
            self.walks = self._begun(model, max(self.buffer, n), labels, generator)
        return gone_on(
            self.walks,
            model,
            Walks.begin(model, n, labels, generator),
            num_steps=self.num_steps,
            step=self._own("step", model),
            lifetime=self.lifetime,
            generator=generator,
        )

    def _begun(self, model: nn.Module, n: int, labels: Tensor | None, generator: Generator) -> Walks:
        """Walks at the start, of all ages, so that they do not all end at once."""
        walks = Walks.begin(model, n, labels, generator)
        ages = torch.arange(n, device=walks.x.device) * self.num_steps % self.lifetime
        return Walks(walks.x, ages, walks.labels)

    def state_dict(self) -> dict[str, Tensor]:
        """The replay buffer."""
        return state_of(self.walks)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with a saved replay buffer."""
        self.walks = Walks(**state) if state else None


def energy_gap(real: Tensor, fake: Tensor, d: int) -> Tensor:
    """The mean potential of data less that of walks, of examples of d numbers.

    Raises:
        FloatingPointError: the walks run away: the gap is more than 100 a number, or not finite.
    """
    gap = real.mean() - fake.mean()
    size = gap.abs().item()
    if not size < MOST * d:
        told = f"the energies of data and walks are {size:.3g} apart, more than {MOST * d:.3g}"
        raise FloatingPointError(f"{told}: the walks run away (a smaller Langevin step helps)")
    return gap
