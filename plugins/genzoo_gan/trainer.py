"""The adversarial game."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.protocols import Batch


@runtime_checkable
class Game(Protocol):
    """A model with both players as networks of their own, so that each can have its optimizer."""

    latent_shape: tuple[int, ...]
    generator: nn.Module
    critic: nn.Module

    def decode(self, z: Tensor) -> Tensor: ...
    def discriminate(self, x: Tensor) -> Tensor: ...


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - c(x))] + E[max(0, 1 + c(g(z)))]: the critic's loss of Geometric GAN (Lim and Ye, 2017)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E[log S(c(x))] - E[log S(-c(g(z)))]: the critic's loss of the original GAN."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """``critic_steps`` critic updates on fresh batches, then one of the generator.

    The generator minimises -E[c(g(z))] against the hinge critic, E[softplus(-c(g(z)))] (the non-saturating loss)
    against the cross-entropy one.

    References: Generative Adversarial Nets (Goodfellow et al., 2014); Spectral Normalization for Generative
    Adversarial Networks (Miyato et al., 2018).

    Args:
        lr: Learning rate of the generator.
        critic_lr: Learning rate of the critic.
        critic_steps: Critic updates per generator update.
        loss: Which game is played.
    """

    lr: PositiveFloat = 1e-3
    critic_lr: PositiveFloat = 1e-3
    critic_steps: PositiveInt = 1
    loss: Literal["hinge", "cross-entropy"] = "hinge"
    needs: ClassVar[tuple[type, ...]] = (Game,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: Game) -> dict[str, Optimizer]:
        """One Adam a player, beta_1 = 0."""
        return {
            "critic": Adam(model.critic.parameters(), lr=self.critic_lr, betas=(0.0, 0.9)),
            "generator": Adam(model.generator.parameters(), lr=self.lr, betas=(0.0, 0.9)),
        }

    def losses(self, model: Game, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """The critic's losses, then the generator's."""
        critic_loss = hinge if self.loss == "hinge" else cross_entropy
        for _ in range(self.critic_steps):
            x = next(batches).x
            fake = self._generate(model, x).detach()
            yield "critic", critic_loss(model.discriminate(x), model.discriminate(fake))
        judged = model.discriminate(self._generate(model, x))
        yield "generator", -judged.mean() if self.loss == "hinge" else F.softplus(-judged).mean()

    def _generate(self, model: Game, like: Tensor) -> Tensor:
        return model.decode(torch.randn(len(like), *model.latent_shape, device=like.device))
