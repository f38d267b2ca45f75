"""Residual players, the critic spectrally normalised."""

from pydantic import PositiveFloat, PositiveInt
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from genzoo.capabilities import known_classes
from genzoo.images import is_image
from genzoo.nets import identity
from genzoo_gan.critics import PointCritic, ResidualCritic
from genzoo_gan.generators import PointGenerator, ResidualGenerator
from genzoo_gan.players import Players


def _width(shape: tuple[int, ...]) -> int:
    if not is_image(shape):
        return 128
    return 64 if max(shape[1:]) > 16 else 32


class SNGAN(Players):
    """A residual generator with batch normalisation, and a residual critic whose every weight has spectral norm 1.

    Told of classes, the generator by its norms and the critic by a projection.

    References: Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018); cGANs with Projection
    Discriminator (Miyato and Koyama, 2018).

    Args:
        shape: Of one example.
        latent: Dimensions of z.
        width: Hidden units (points) or channels of the generator's largest stage (images).
        critic_width: The same of the critic.
        lipschitz: What the logits of a normalised critic are multiplied by, 10 by default: its layers shrink too much
            for them to say anything.
        spectral: Whether the critic is so normalised; without, it needs a penalty of its gradient.
        num_classes: Of the data.
        conditional: Whether it models p(x | class).

    Raises:
        ValueError: ``lipschitz`` of a critic that is not normalised; a conditional model of data without classes.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        latent: PositiveInt | None = None,
        width: PositiveInt | None = None,
        critic_width: PositiveInt | None = None,
        lipschitz: PositiveFloat | None = None,
        spectral: bool = True,
        num_classes: int | None = None,
        conditional: bool = False,
    ) -> None:
        if lipschitz is not None and not spectral:
            raise ValueError(f"lipschitz={lipschitz:g} is of a normalised critic: leave it out, or set spectral=true")
        told = known_classes(num_classes) if conditional else None
        picture = is_image(shape)
        latent, width = latent or (128 if picture else 8), width or _width(shape)
        wrap, gain = (spectral_norm, lipschitz or 10.0) if spectral else (identity, 1.0)
        generator: nn.Module
        critic: nn.Module
        if picture:
            generator = ResidualGenerator(latent, shape, width, told)
            critic = ResidualCritic(shape, critic_width or width, told, wrap=wrap, gain=gain)
        else:
            generator = PointGenerator(latent, shape[0], width, told)
            critic = PointCritic(shape[0], critic_width or width, told, wrap=wrap, gain=gain)
        super().__init__(shape, latent, generator, critic, told)
