"""Contrastive divergence."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Energy, as_energy, as_score
from genzoo.images import is_image
from genzoo.protocols import Batch
from genzoo_ebm.samplers import first_states, step_size, walk


@dataclass(kw_only=True)
class ContrastiveDivergence:
    """Lower the energy of the data and raise it where persistent Langevin walks have come to.

    grad L = E_data[grad E(x)] - E_walk[grad E(x)]. Walks go on from a replay buffer; ``restart`` of them begin anew.

    References: Training Products of Experts by Minimizing Contrastive Divergence (Hinton, 2002); Training Restricted
    Boltzmann Machines using Approximations to the Likelihood Gradient (Tieleman, 2008); Implicit Generation and
    Modeling with Energy-Based Models (Du and Mordatch, 2019).

    Args:
        lr: Learning rate.
        num_steps: Langevin steps per training step.
        step: Langevin step size, in squared data units; the model's own by default, or 0.01.
        noise: Standard deviation of the Gaussian noise on the data. Images, whose levels have no density, get by
            default as much as one Langevin step puts on them; points none.
        buffer: Walks kept; as many as a batch has examples at least.
        restart: Probability that a walk begins anew.
    """

    lr: PositiveFloat = 2e-3
    num_steps: PositiveInt = 10
    step: PositiveFloat | None = None
    noise: NonNegativeFloat | None = None
    buffer: PositiveInt = 1024
    restart: Annotated[float, Field(ge=0, le=1)] = 0.02
    needs: ClassVar[tuple[type, ...]] = (Energy,)
    walks: Tensor | None = field(default=None, init=False, repr=False)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model, beta_1 = 0: the walks answer the last update, not a mean of updates."""
        return {"model": Adam(model.parameters(), lr=self.lr, betas=(0.0, 0.99))}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian to the first batch."""
        if hasattr(model, "initialize"):
            model.initialize(batch.x)

    def losses(self, model: nn.Module, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        x = next(batches).x
        x = x + self._noise(model) * torch.randn_like(x)
        walked = self._walk(model, x)
        real, fake = as_energy(model).energy(torch.cat([x, walked])).chunk(2)
        yield "model", real.mean() - fake.mean()

    def _noise(self, model: Any) -> float:
        if self.noise is not None:
            return self.noise
        return step_size(self.step, model) ** 0.5 if is_image(model.shape) else 0.0

    def _walk(self, model: nn.Module, like: Tensor) -> Tensor:
        generator = _fork(like.device)
        if self.walks is None:
            self.walks = first_states(model, max(self.buffer, len(like)), generator)
        n = len(like)
        chosen = torch.randperm(len(self.walks), generator=generator, device=like.device)[:n]
        anew = torch.rand(n, generator=generator, device=like.device) < self.restart
        x = self.walks[chosen]
        x[anew] = first_states(model, n, generator)[anew]
        states = walk(as_score(model), x, step_size(self.step, model), generator)
        x = next(itertools.islice(states, self.num_steps - 1, None))
        self.walks[chosen] = x
        return x

    def state_dict(self) -> dict[str, Tensor]:
        """The replay buffer."""
        return {} if self.walks is None else {"walks": self.walks}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with a saved replay buffer."""
        self.walks = state.get("walks")


def _fork(device: torch.device) -> Generator:
    """A generator seeded by the global random state, which training uses."""
    return Generator(device).manual_seed(int(torch.randint(2**62, ())))
