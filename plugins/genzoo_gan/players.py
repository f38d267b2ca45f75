"""A generator and its critic as one model."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from genzoo.capabilities import Critic, Decoder, Given
from genzoo.images import is_image


class Players(nn.Module, Decoder, Critic):
    """Both players of the adversarial game: ``generator(z, labels)`` and ``critic(x, labels)``.

    Told of ``num_classes`` it is conditional, and z has one coordinate more for each class: where no label is given
    the largest of them says which class is made, so that all are as likely and the critic need never see an example
    without its label.
    """

    trainer: ClassVar[str] = "adversarial"
    sampler: ClassVar[str] = "decode"

    def __init__(
        self, shape: tuple[int, ...], latent: int, generator: nn.Module, critic: nn.Module, num_classes: int | None
    ) -> None:
        super().__init__()
        if num_classes is not None:
            self.num_classes = num_classes
        self.shape, self.latent, self.latent_shape = shape, latent, (latent + (num_classes or 0),)
        self.generator, self.critic = generator, critic
        self.bound = nn.Tanh() if is_image(shape) else nn.Identity()

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """g(z, y), [n, *shape]; images in (-1, 1)."""
        return self.bound(self.generator(z[:, : self.latent], self._classes(z, labels)).float())

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits, [n]: positive where the critic takes x for data."""
        return self.critic(x, labels)

    def given(self, labels: Tensor) -> Given:
        """The players told of one class a row, [n]."""
        return Given(self, labels)

    def _classes(self, z: Tensor, labels: Tensor | None) -> Tensor | None:
        """The class of each row, [n]; drawn by z where there is no label."""
        if not hasattr(self, "num_classes"):
            return None
        drawn = z[:, self.latent :].argmax(1)
        return drawn if labels is None else torch.where(labels == self.num_classes, drawn, labels)
