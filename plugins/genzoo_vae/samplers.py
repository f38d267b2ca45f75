"""One shot: a latent, and its decoding."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from genzoo.capabilities import Decoder
from genzoo_vae.model import Observation


def standard_normal(model: Any, n: int, generator: Generator) -> Tensor:
    """z ~ N(0, I), [n, *latent_shape]."""
    return torch.randn((n, *model.latent_shape), generator=generator, device=generator.device)


@dataclass(frozen=True, kw_only=True)
class Decode:
    """x = g(z), z ~ N(0, I): one call, for GANs, flows and (as the mean of p(x | z)) VAEs."""

    needs: ClassVar[tuple[type, ...]] = (Decoder,)

    def steps(self, model: Decoder, n: int, generator: Generator) -> Iterator[Tensor]:
        """The decoded latents: the only state."""
        yield model.decode(standard_normal(model, n, generator))


@dataclass(frozen=True, kw_only=True)
class Ancestral:
    """z ~ N(0, I), x ~ p(x | z): an exact draw from a latent-variable model, observation noise included."""

    needs: ClassVar[tuple[type, ...]] = (Observation,)

    def steps(self, model: Observation, n: int, generator: Generator) -> Iterator[Tensor]:
        """The observation: the only state."""
        yield model.observe(standard_normal(model, n, generator), generator)
