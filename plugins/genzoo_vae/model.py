"""The variational autoencoder."""

import math
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Decoder, Encoder, ImportanceWeighted, LowerBound
from genzoo.images import is_image
from genzoo.nets import decoder, encoder


@runtime_checkable
class Observation(Protocol):
    """A decoder with an observation model p(x | z): it can draw from it, and not only give its mean."""

    latent_shape: tuple[int, ...]

    def observe(self, z: Tensor, generator: Generator) -> Tensor:
        """x ~ p(x | z), [n, *shape]."""


def log_logistic_mass(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log P(level) of a logistic discretised to ``levels`` bins over [-1, 1], the outer bins open; same shape as x.

    log [ S((x + h - mean) / s) - S((x - h - mean) / s) ] with S the sigmoid and h half a bin, computed as
    log S(a) + log S(-b) + log(1 - exp(b - a)), which is exact where the difference of sigmoids would vanish.

    Reference: PixelCNN++ (Salimans et al., 2017), equation 2.
    """
    half, inverse = 1 / (levels - 1), torch.exp(-log_scale)
    above, below = (x + half - mean) * inverse, (x - half - mean) * inverse
    inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-2 * half * inverse))
    first, last = x < -1 + half, x > 1 - half
    return torch.where(first, F.logsigmoid(above), torch.where(last, F.logsigmoid(-below), inside))


def log_normal(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """log N(x; mean, std^2), elementwise."""
    return -0.5 * ((x - mean) * torch.exp(-log_std)) ** 2 - log_std - 0.5 * math.log(2 * math.pi)


class VAE(nn.Module, Encoder, Decoder, LowerBound, ImportanceWeighted):
    """A variational autoencoder with a Gaussian posterior and an observation scale learned per channel.

    log p(x) >= E_q(z|x)[log p(x | z)] - KL(q(z | x) || N(0, I)). Images have a logistic discretised to the data's
    levels as p(x | z), so the bound is one of a mass; points a Gaussian, so it is one of a density.

    References: Auto-Encoding Variational Bayes (Kingma and Welling, 2014); Simple and Effective VAE Training with
    Calibrated Decoders (Rybkin et al., 2021).

    Args:
        shape: Of one example.
        latent: Dimensions of z.
        width: Hidden units (points) or channels of the first stage (images).
        levels: Grey levels of the data; None for continuous data.
    """

    trainer: ClassVar[str] = "elbo"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        latent: PositiveInt | None = None,
        width: PositiveInt | None = None,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        picture = is_image(shape)
        latent, width = latent or (16 if picture else 2), width or (64 if picture else 128)
        self.shape, self.latent_shape, self.levels = shape, (latent,), levels
        self.sampler = "decode" if picture else "ancestral"
        self.bounds: Literal["density", "mass"] = "mass" if levels else "density"
        self.posterior = encoder(shape, 2 * latent, width)
        self.generator = decoder(latent, shape, width)
        self.log_scale = nn.Parameter(torch.full((shape[0], *[1] * (len(shape) - 1)), -1.0))

    def _posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.posterior(x).float().chunk(2, dim=1)
        return mean, log_std.clamp(-10, 5)

    def encode(self, x: Tensor) -> Tensor:
        """The posterior mean, [n, latent]."""
        return self._posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x | z), [n, *shape]."""
        return self.generator(z).float()

    def observe(self, z: Tensor, generator: Generator) -> Tensor:
        """x ~ p(x | z): Gaussian for points, logistic (by inverting its distribution function) for images."""
        mean = self.decode(z)
        if self.levels is None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        else:
            noise = torch.rand(mean.shape, generator=generator, device=mean.device).logit(1e-6)
        return mean + self._log_scale().exp() * noise

    def log_bound(self, x: Tensor) -> Tensor:
        """One draw of the evidence lower bound, [n], in nats."""
        mean, log_std = self._posterior(x)
        z = mean + log_std.exp() * torch.randn_like(mean)
        kl = 0.5 * (mean**2 + torch.exp(2 * log_std) - 2 * log_std - 1).sum(1)
        return self._log_likelihood(x, z) - kl

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        """log p(x | z_i) + log N(z_i; 0, I) - log q(z_i | x) of k draws z_i ~ q(z | x), [k, n], in nats."""
        mean, log_std = (part.repeat(k, 1) for part in self._posterior(x))
        noise = torch.randn_like(mean)
        z = mean + log_std.exp() * noise
        log_prior_less_posterior = (0.5 * (noise**2 - z**2) + log_std).sum(1)
        return (self._log_likelihood(x.repeat(k, *[1] * (x.dim() - 1)), z) + log_prior_less_posterior).view(k, len(x))

    def _log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z), [n], in nats."""
        mean, log_scale = self.decode(z), self._log_scale()
        if self.levels is None:
            return log_normal(x, mean, log_scale).flatten(1).sum(1)
        return log_logistic_mass(x, mean, log_scale, self.levels).flatten(1).sum(1)

    def _log_scale(self) -> Tensor:
        return self.log_scale.clamp(min=-7.0)
