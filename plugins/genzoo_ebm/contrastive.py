"""Contrastive divergence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Conditional, Energy, as_energy, labelled, supports
from genzoo.errors import InvalidOption
from genzoo.images import is_image
from genzoo.processes import anywhere
from genzoo.protocols import Batch
from genzoo_ebm.buffer import Pace, Walks, gone_on, state_of
from genzoo_ebm.walks import confine_of, fit_base, fork, step_size, temperature_of

MOST = 100.0
MATURE = 0.4
COLD = {"step": 2.5e-5, "temperature": 1.25e-4}
NOISE = 0.03
POINTS_STEP = 0.02


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
        lifetime: Steps of a walk from its start to its end, a multiple of ``num_steps``.
        step: Langevin step size; by default 2.5e-5 for models of images that can be cooled, the model's own for others;
            for points 0.02, which get about by larger steps than they are sampled with.
        temperature: T, which a model of images that can be cooled is set to; the default, 1.25e-4 in place of 1, makes
            a walk of little but drift.
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

    def __post_init__(self) -> None:
        if self.lifetime % self.num_steps:
            told = f"lifetime={self.lifetime} is no multiple of num_steps={self.num_steps}"
            raise ValueError(f"{told}: walks would be longer than the samples that they stand for")

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model, beta_1 = 0: the walks answer the last update, not a mean of updates."""
        return {"model": Adam(model.parameters(), lr=self.lr, betas=(0.0, 0.999), fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian to the first batch; a model of images keeps the walk that it is trained with.

        Raises:
            InvalidOption: a temperature for a model that cannot be cooled.
        """
        fit_base(model, batch.x)
        cools = hasattr(model, "settle") and is_image(model.shape)
        if self.temperature is not None and not cools:
            told = f"temperature={self.temperature:g} has no effect on points and on models without a walk of their own"
            raise InvalidOption(f"{told}: leave it out")
        if cools:
            own = {"step": model.step.item(), "temperature": model.temperature.item()}
            usual = COLD if own["temperature"] == 1 else own
            chosen = {name: getattr(self, name) or value for name, value in usual.items()}
            model.settle(**chosen, num_steps=self.lifetime)

    def losses(self, model: nn.Module, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        x = confine_of(model)(batch.x + self._noise(model) * torch.randn_like(batch.x))
        labels = batch.y if supports(model, (Conditional,)) else None
        walked = self._walk(model, len(x), labels)
        both = labelled(model, walked.labels_after(labels))
        potentials = temperature_of(model) * as_energy(both).energy(torch.cat([x, walked.x]))
        real, fake = potentials.chunk(2)
        mature = walked.age >= MATURE * self.lifetime
        fake = fake[mature] if mature.any() else real
        squares = real.square().mean() + fake.square().mean()
        yield "model", potential_gap(real, fake, x[0].numel() * temperature_of(model)) + self.energy_penalty * squares

    def _noise(self, model: Any) -> float:
        usual = NOISE if is_image(model.shape) else 0.0
        return usual if self.noise is None else self.noise

    def _step(self, model: Any) -> float:
        return step_size(self.step, model) if is_image(model.shape) else self.step or POINTS_STEP

    def _walk(self, model: nn.Module, n: int, labels: Tensor | None) -> Walks:
        """As many walked examples as the batch has."""
        generator = fork(next(model.parameters()).device)
        if self.walks is None:
            self.walks = self._begun(model, max(self.buffer, n), labels, generator)
        pace = Pace(self.num_steps, self._step(model), self.lifetime)
        return gone_on(self.walks, model, Walks.begin(model, n, labels, generator), pace, generator)

    def _begun(self, model: nn.Module, n: int, labels: Tensor | None, generator: Generator) -> Walks:
        """Walks at the start, of all ages, so that they do not all end at once."""
        walks = Walks.begin(model, n, labels, generator)
        ages = torch.arange(n, device=walks.x.device) * self.lifetime // n // self.num_steps * self.num_steps
        return Walks(walks.x, ages, walks.labels)

    def state_dict(self) -> dict[str, Tensor]:
        """The replay buffer."""
        return state_of(self.walks)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with a saved replay buffer."""
        self.walks = Walks(**state) if state else None


def potential_gap(real: Tensor, fake: Tensor, scale: float) -> Tensor:
    """The mean potential of data less that of walks, whose size is that of ``scale`` or of 1; 0 of no walks.

    Raises:
        FloatingPointError: the walks of any process run away: the gap is more than 100 times that size, or not finite.
    """
    gap, most = real.mean() - fake.mean() if len(fake) else fake.sum(), MOST * max(1.0, scale)
    size = gap.abs().item()
    if anywhere(not size < most):
        told = f"the potentials of data and walks are {size:.3g} apart, more than {most:.3g}"
        raise FloatingPointError(f"{told}: the walks run away (a smaller Langevin step helps)")
    return gap
