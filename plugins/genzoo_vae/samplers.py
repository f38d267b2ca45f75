"""One shot: a latent, and its decoding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import PositiveFloat
from torch import Generator, Tensor

from genzoo.capabilities import Decoder
from genzoo_vae.protocols import Observation


def normal_latents(model: Any, n: int, generator: Generator, temperature: float) -> Tensor:
    """z ~ N(0, temperature^2 I), [n, *latent_shape]."""
    return temperature * torch.randn((n, *model.latent_shape), generator=generator, device=generator.device)


@dataclass(frozen=True, kw_only=True)
class Decode:
    """x = g(z), z ~ N(0, I): one call, for GANs, flows and (as the mean of p(x | z)) VAEs.

    Reference: Glow (Kingma and Dhariwal, 2018), section 6, for the temperature.

    Args:
        temperature: Standard deviation of z; below 1 the samples are more typical and less varied.
    """

    temperature: PositiveFloat = 1.0
    needs: ClassVar[tuple[type, ...]] = (Decoder,)

    def steps(self, model: Decoder, n: int, generator: Generator) -> Iterator[Tensor]:
        """The decoded latents: the only state."""
        yield model.decode(normal_latents(model, n, generator, self.temperature))


@dataclass(frozen=True, kw_only=True)
class Ancestral:
    """z ~ N(0, I), x ~ p(x | z): an exact draw from a latent-variable model, observation noise included.

    Args:
        temperature: Standard deviation of z; below 1 the samples are more typical and less varied.
    """

    temperature: PositiveFloat = 1.0
    needs: ClassVar[tuple[type, ...]] = (Observation,)

    def steps(self, model: Observation, n: int, generator: Generator) -> Iterator[Tensor]:
        """The observation: the only state."""
        yield model.observe(normal_latents(model, n, generator, self.temperature), generator)
