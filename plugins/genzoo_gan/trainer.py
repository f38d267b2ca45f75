"""The adversarial game."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Critic, Decoder, Given, labelled, supports
from genzoo.errors import InvalidOption
from genzoo.images import is_image, laid_out
from genzoo.protocols import Batch
from genzoo_gan.augment import Augmentation, draw
from genzoo_gan.critics import PointCritic, ResidualCritic
from genzoo_gan.objectives import OBJECTIVES, Objective
from genzoo_gan.penalties import Judge, gradient_penalty, zero_centred

Momentum = Annotated[float, Field(ge=0, lt=1)]


@runtime_checkable
class Judged(Protocol):
    """A model with a critic of its own: a network, whose logits ``discriminate`` gives."""

    critic: nn.Module

    def discriminate(self, x: Tensor) -> Tensor: ...


class OwnCritic(nn.Module, Critic):
    """The critic that the trainer gives to a decoder without one, conditional where the decoder is."""

    def __init__(self, model: Any, width: int | None) -> None:
        super().__init__()
        num_classes, self.shape = getattr(model, "num_classes", None), model.shape
        if num_classes is not None:
            self.num_classes = num_classes
        self.critic = _critic(model.shape, width, num_classes)

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.critic(x, labels)

    def given(self, labels: Tensor) -> Given:
        return Given(self, labels)


def _critic(shape: tuple[int, ...], width: int | None, num_classes: int | None) -> nn.Module:
    if is_image(shape):
        return ResidualCritic(shape, width or 64, num_classes)
    return PointCritic(shape[0], width or 128, num_classes)


class Owned(nn.Module):
    """What the trainer keeps: how many critic steps were made, and a critic where the model has none."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Buffer(torch.zeros((), dtype=torch.long))
        self.judge: OwnCritic | None = None


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Without gradients of the module's parameters: what passes through it costs half as much."""
    trained = [p for p in module.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """``critic_steps`` critic updates on fresh batches, then one of the generator, on the last fakes judged anew.

    Any decoder can be the generator; one without a critic of its own gets one, which the trainer keeps. A conditional
    model makes its fakes of the batch's labels.

    R1 and R2 are lazy: every ``r1_every`` critic updates they are added with ``r1_every`` times their weight, which on
    average is the weight itself. Of a critic with batch normalisation they are of the batch's summed logits.

    References: Generative Adversarial Nets (Goodfellow et al., 2014); Analyzing and Improving the Image Quality of
    StyleGAN (Karras et al., 2020), appendix B, for the lazy penalties.

    Args:
        objective: Which game is played.
        lr: Learning rate of the generator.
        critic_lr: Learning rate of the critic.
        beta1: Adam's momentum, of both; ``beta2`` that of the squares.
        critic_steps: Critic updates per generator update.
        gradient_penalty: Weight of E[(|grad c| - 1)^2] between data and fakes; 10 for wasserstein, else none. For
            critics without batch normalisation.
        r1: Weight gamma of gamma / 2 E[|grad c|^2] on data.
        r2: The same on fakes.
        r1_every: Critic updates from one taking of R1 and R2 to the next.
        augment: Transforms of what the critic sees, for small sets of images.
        critic_width: Of the critic that the trainer keeps: channels (images) or hidden units (points).
    """

    objective: Literal["non-saturating", "hinge", "wasserstein", "relativistic"] = "hinge"
    lr: PositiveFloat = 2e-3
    critic_lr: PositiveFloat = 2e-3
    beta1: Momentum = 0.0
    beta2: Momentum = 0.99
    critic_steps: PositiveInt = 1
    gradient_penalty: NonNegativeFloat | None = None
    r1: NonNegativeFloat = 0.0
    r2: NonNegativeFloat = 0.0
    r1_every: PositiveInt = 16
    augment: tuple[Augmentation, ...] = ()
    critic_width: PositiveInt | None = None
    owned: Owned = field(init=False, repr=False, compare=False, default_factory=Owned)
    needs: ClassVar[tuple[type, ...]] = (Decoder,)
    low_precision: ClassVar[bool] = True

    def networks(self) -> nn.Module:
        """The critic, if the model has none."""
        return self.owned

    def initialize(self, model: Any, batch: Batch) -> None:
        """Make that critic. Raises :class:`InvalidOption` for what cannot be done with the data or the critic."""
        if self.augment and not is_image(model.shape):
            raise InvalidOption(
                f"adversarial: augment={list(self.augment)} is for images, these are points: leave it out"
            )
        judged = supports(model, (Judged,))
        if judged and self.critic_width is not None:
            told = f"adversarial: critic_width={self.critic_width} is of a critic that the trainer makes"
            raise InvalidOption(f"{told}, this model has its own: set the model's option, or leave it out")
        if not judged:
            self.owned.judge = OwnCritic(model, self.critic_width).to(batch.x.device)
            laid_out(self.owned.judge)
        judged_together = any(isinstance(m, _BatchNorm) for m in self._judge(model).critic.modules())
        if self._steepness and judged_together:
            raise InvalidOption(
                f"adversarial: gradient_penalty={self._steepness:g} needs a critic that judges each example by itself, "
                "this one has batch normalisation: set gradient_penalty=0 (r1 is allowed), or take sngan"
            )

    def optimizers(self, model: Any) -> dict[str, Optimizer]:
        """One Adam a player."""
        judged = list(self._judge(model).critic.parameters())
        known = set(judged)
        made = [p for p in model.parameters() if p not in known]
        betas = (self.beta1, self.beta2)
        return {
            "critic": Adam(judged, lr=self.critic_lr, betas=betas, fused=True),
            "generator": Adam(made, lr=self.lr, betas=betas, fused=True),
        }

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """The critic's losses, then the generator's."""
        owner = self._judge(model)
        for _ in range(self.critic_steps):
            batch = next(batches)
            generator, judge = labelled(model, batch.y), labelled(owner, batch.y)
            fake = generator.decode(torch.randn(len(batch), *model.latent_shape, device=batch.x.device)).to(batch.x)
            yield "critic", self._critic_loss(judge, batch.x, fake.detach())
        with frozen(owner.critic):
            logits = self._generator_logits(judge, batch.x, fake)
        yield "generator", self._game.generator(logits)

    @property
    def _game(self) -> Objective:
        return OBJECTIVES[self.objective]

    @property
    def _steepness(self) -> float:
        """The weight of the gradient penalty."""
        return self._game.gradient_penalty if self.gradient_penalty is None else self.gradient_penalty

    def _judge(self, model: Any) -> Any:
        return self.owned.judge or model

    def _generator_logits(self, judge: Any, real: Tensor, fake: Tensor) -> Tensor:
        """The fakes' logits; in a relative game, less those of the data beside them."""
        transform = draw(self.augment, fake)
        logits = judge.discriminate(transform(fake))
        return logits - judge.discriminate(transform(real)) if self._game.relative else logits

    def _critic_loss(self, judge: Any, real: Tensor, fake: Tensor) -> Tensor:
        """The objective's, and the penalties."""
        transform = draw(self.augment, real)

        def look(x: Tensor) -> Tensor:
            return judge.discriminate(transform(x))

        loss = self._game.critic(look(real), look(fake))
        if self._steepness:
            loss = loss + self._steepness * gradient_penalty(look, real, fake)
        if (self.r1 or self.r2) and self.owned.steps % self.r1_every == 0:
            loss = loss + self.r1_every * self._zero_centred(look, real, fake)
        self.owned.steps.add_(1)
        return loss

    def _zero_centred(self, look: Judge, real: Tensor, fake: Tensor) -> Tensor | float:
        """R1 and R2 with their weights."""
        return sum(gamma * zero_centred(look, x) for gamma, x in ((self.r1, real), (self.r2, fake)) if gamma)
