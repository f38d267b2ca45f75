"""The generator and its spectral-normalised critic."""

from typing import ClassVar

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genzoo.capabilities import Critic, Decoder
from genzoo.images import is_image
from genzoo.nets import decoder, encoder


def leaky_relu() -> nn.Module:
    """Keeps more of a gradient than SiLU where every layer shrinks it."""
    return nn.LeakyReLU(0.2)


class SNGAN(nn.Module, Decoder, Critic):
    """A generator, and a critic whose every weight matrix has spectral norm 1, scaled by a constant.

    References: Generative Adversarial Nets (Goodfellow et al., 2014); Spectral Normalization for Generative
    Adversarial Networks (Miyato et al., 2018).

    Args:
        shape: Of one example.
        latent: Dimensions of z.
        width: Hidden units (points) or channels of the first stage (images) of the generator and of the critic.
        lipschitz: The critic's constant; the layers alone shrink too much for logits that say anything.
    """

    trainer: ClassVar[str] = "adversarial"
    sampler: ClassVar[str] = "decode"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        latent: PositiveInt | None = None,
        width: PositiveInt | None = None,
        lipschitz: PositiveFloat = 10.0,
    ) -> None:
        super().__init__()
        picture = is_image(shape)
        latent, width = latent or (64 if picture else 8), width or (64 if picture else 128)
        self.shape, self.latent_shape = shape, (latent,)
        self.generator = decoder(latent, shape, width)
        self.critic = encoder(shape, 1, width, spectral_norm, leaky_relu)
        self.bound = nn.Tanh() if picture else nn.Identity()
        self.lipschitz = lipschitz

    def decode(self, z: Tensor) -> Tensor:
        """g(z), [n, *shape]; images in (-1, 1)."""
        return self.bound(self.generator(z).float())

    def discriminate(self, x: Tensor) -> Tensor:
        """Logits, [n]: positive where the critic takes x for data."""
        return self.lipschitz * self.critic(x).squeeze(1).float()
