"""What this plugin's models can compute beyond the capabilities that all families share."""

from typing import Protocol, runtime_checkable

from torch import Generator, Tensor


@runtime_checkable
class Observation(Protocol):
    """A decoder with an observation model p(x | z): it can draw from it, and not only give its mean."""

    latent_shape: tuple[int, ...]

    def observe(self, z: Tensor, generator: Generator) -> Tensor:
        """x ~ p(x | z), [n, *shape]."""


@runtime_checkable
class Evidence(Protocol):
    """A lower bound whose two parts are known apart: log p(x | z) and what the latents cost."""

    def terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x | z) [n], and KL(q || p) of each group of latents [n, groups], in nats, for one draw z ~ q(z | x).

        The bound is the first less the sum of the second.
        """
