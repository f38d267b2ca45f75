"""The variational autoencoder."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Conditional, Decoder, Encoder, Given, ImportanceWeighted, LowerBound, known_classes
from genzoo.images import is_image
from genzoo.nets import ClassEmbedding, decoder, encoder
from genzoo_vae.likelihood import draw_observation, log_observation, normal_kl

CLASS_CHANNELS = 16
ROWS_AT_ONCE = 4096


class VAE(nn.Module, Encoder, Decoder, LowerBound, ImportanceWeighted, Conditional):
    """A variational autoencoder with a Gaussian posterior and an observation scale learned per channel.

    log p(x) >= E_q(z|x)[log p(x | z)] - KL(q(z | x) || N(0, I)). Images have a logistic discretised to the data's
    levels as p(x | z), so the bound is one of a mass; points a Gaussian, so it is one of a density. A conditional one
    has the class as further channels of x for its encoder and further dimensions of z for its decoder.

    References: Auto-Encoding Variational Bayes (Kingma and Welling, 2014); Simple and Effective VAE Training with
    Calibrated Decoders (Rybkin et al., 2021); Learning Structured Output Representation using Deep Conditional
    Generative Models (Sohn et al., 2015).

    Args:
        shape: Of one example.
        latent: Dimensions of z.
        width: Hidden units (points) or channels of the first stage (images).
        levels: Grey levels of the data; None for continuous data.
        num_classes: Of the data.
        conditional: Whether the model is told of classes.
    """

    trainer: ClassVar[str] = "elbo"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        latent: PositiveInt | None = None,
        width: PositiveInt | None = None,
        levels: int | None = None,
        num_classes: int | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        picture = is_image(shape)
        latent, width = latent or (16 if picture else 2), width or (64 if picture else 128)
        self.shape, self.latent_shape, self.levels = shape, (latent,), levels
        self.sampler = "decode" if picture else "ancestral"
        self.bounds: Literal["density", "mass"] = "mass" if levels else "density"
        if conditional:
            self.num_classes = known_classes(num_classes)
        self.embed_class = ClassEmbedding(num_classes if conditional else None, CLASS_CHANNELS)
        more = CLASS_CHANNELS if conditional else 0
        self.posterior = encoder((shape[0] + more, *shape[1:]), 2 * latent, width)
        self.generator = decoder(latent + more, shape, width)
        self.log_scale = nn.Parameter(torch.full((shape[0], *[1] * (len(shape) - 1)), -1.0))

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | label)."""
        return Given(self, labels)

    def encode(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """The posterior mean, [n, latent]."""
        return self._posterior(x, labels)[0]

    def decode(self, z: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """The mean of p(x | z), [n, *shape]."""
        return self.generator(self._with_class(z, labels)).float()

    def observe(self, z: Tensor, generator: Generator, *, labels: Tensor | None = None) -> Tensor:
        """x ~ p(x | z): Gaussian for points, logistic for images."""
        return draw_observation(self.decode(z, labels=labels), self.log_scale, self.levels, generator)

    def terms(self, x: Tensor, *, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """log p(x | z) [n], and the divergence of every dimension of z [n, latent]; see ``Evidence``."""
        mean, log_std = self._posterior(x, labels)
        z = mean + log_std.exp() * torch.randn_like(mean)
        return self._log_likelihood(x, z, labels), normal_kl(mean, log_std)

    def log_bound(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """One draw of the evidence lower bound, [n], in nats."""
        log_likelihood, kls = self.terms(x, labels=labels)
        return log_likelihood - kls.sum(1)

    def log_weights(self, x: Tensor, k: int, *, labels: Tensor | None = None) -> Tensor:
        """log p(x | z_i) + log N(z_i; 0, I) - log q(z_i | x) of k draws z_i ~ q(z | x), [k, n], in nats."""
        posterior, at_once = self._posterior(x, labels), max(1, ROWS_AT_ONCE // len(x))
        parts = [min(at_once, k - first) for first in range(0, k, at_once)]
        return torch.cat([self._log_weights(x, *posterior, part, labels) for part in parts])

    def _log_weights(self, x: Tensor, mean: Tensor, log_std: Tensor, k: int, labels: Tensor | None) -> Tensor:
        mean, log_std = mean.repeat(k, 1), log_std.repeat(k, 1)
        noise = torch.randn_like(mean)
        z = mean + log_std.exp() * noise
        log_prior_less_posterior = (0.5 * (noise**2 - z**2) + log_std).sum(1)
        x, labels = x.repeat(k, *[1] * (x.dim() - 1)), None if labels is None else labels.repeat(k)
        return (self._log_likelihood(x, z, labels) + log_prior_less_posterior).view(k, -1)

    def _posterior(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, log_std = self.posterior(self._with_class(x, labels)).float().chunk(2, dim=1)
        return mean, log_std.clamp(-10, 5)

    def _with_class(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """x [n, c, ...] with the vector of the class as more channels, the same at every position."""
        vector = self.embed_class(labels, x)
        if not vector.dim():
            return x
        return torch.cat([x, vector[(..., *[None] * (x.dim() - 2))].expand(-1, -1, *x.shape[2:]).to(x.dtype)], dim=1)

    def _log_likelihood(self, x: Tensor, z: Tensor, labels: Tensor | None) -> Tensor:
        """log p(x | z), [n], in nats."""
        return log_observation(x, self.decode(z, labels=labels), self.log_scale, self.levels)
