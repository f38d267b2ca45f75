"""The very deep variational autoencoder."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Conditional, Decoder, Encoder, Given, ImportanceWeighted, LowerBound, known_classes
from genzoo.images import is_image
from genzoo.nets import halvings
from genzoo_vae.likelihood import draw_observation, log_observation, normal_kl
from genzoo_vae.top_down import BottomUp, Level, NoiseAt, Posterior, Stage, TopDown, zero_conv

ROWS_AT_ONCE = 2048

Observed = tuple[Tensor, Tensor]
"""Mean and log scale of p(x | z), [n, *shape] each."""


def resolutions(size: tuple[int, int]) -> list[tuple[int, int]]:
    """A picture's own size, halved (rounded up) until no side is above 4, and last one pixel."""
    sizes = [size, *(halvings(*size) if max(size) > 4 else [])]
    return sizes if sizes[-1] == (1, 1) else [*sizes, (1, 1)]


class VDVAE(nn.Module, Encoder, Decoder, LowerBound, ImportanceWeighted, Conditional):
    """A variational autoencoder whose latents stand at several resolutions, each with a prior given those before it.

    p(z) = prod_l N(z_l; mu_l, sigma_l^2) with mu_l and sigma_l from z_<l, and
    log p(x) >= E_q[log p(x | z)] - sum_l KL(q(z_l | z_<l, x) || p(z_l | z_<l)). The latent that :meth:`decode` takes is
    the standard normal noise of all layers, one after the other, coarsest first: z_l = mu_l + sigma_l noise_l. The
    mean and the scale of p(x | z) are both told by the net, pixel by pixel.

    References: Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images (Child, 2021); Ladder
    Variational Autoencoders (Sønderby et al., 2016); NVAE (Vahdat and Kautz, 2020), for the relative posterior.

    Args:
        shape: Of one example; points are pictures of one pixel.
        width: Channels at the finest resolution.
        widen: How many times more at the others.
        depths: Blocks at each resolution, finest first.
        latents: Channels of the latent of a block at each resolution, finest first; 0 for none.
        encoder_depth: Residual blocks of the encoder at each resolution.
        bottleneck: Channels inside a block as a share of those outside, as the paper has them; None for two full
            convolutions.
        patch: Side of the squares of pixels that are one position.
        levels: Grey levels of the data; None for continuous data.
        num_classes: Of the data.
        conditional: Whether the model is told of classes.
    """

    trainer: ClassVar[str] = "elbo"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: PositiveInt | None = None,
        widen: PositiveInt = 2,
        depths: tuple[PositiveInt, ...] | None = None,
        latents: tuple[NonNegativeInt, ...] | None = None,
        encoder_depth: PositiveInt = 1,
        bottleneck: PositiveFloat | None = None,
        patch: PositiveInt | None = None,
        levels: int | None = None,
        num_classes: int | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        picture = is_image(shape)
        self.shape, self.levels, self.sampler = shape, levels, "decode" if picture else "ancestral"
        self.bounds: Literal["density", "mass"] = "mass" if levels else "density"
        if conditional:
            self.num_classes = known_classes(num_classes)
        channels, height, breadth = shape if picture else (*shape, 1, 1)
        self.patch = patch or (2 if max(height, breadth) > 8 else 1)
        sizes = resolutions((-(-height // self.patch), -(-breadth // self.patch)))
        width = width or (64 if picture else 128)
        widths = [width, *[widen * width] * (len(sizes) - 1)]
        depths = _one_each(sizes, depths, _default_depths(sizes), "depths")
        latents = _one_each(sizes, latents, _default_latents(sizes), "latents")
        if not any(latents):
            raise ValueError(f"latents is {latents}: at least one resolution needs a latent")
        plan = list(map(Level, sizes, widths, depths, latents))
        self._build(plan, channels * self.patch**2, num_classes if conditional else None, encoder_depth, bottleneck)

    def _build(
        self, plan: list[Level], pixels: int, num_classes: int | None, encoder_depth: int, bottleneck: float | None
    ) -> None:
        gain = 1 / math.sqrt(sum(level.depth for level in plan))
        self.encoder = BottomUp(pixels, plan, encoder_depth, bottleneck)
        down = plan[::-1]
        self.top = nn.Parameter(torch.zeros(1, down[0].width, 1, 1))
        self.stages = nn.ModuleList(
            Stage(level, finer, num_classes, bottleneck, gain) for level, finer in itertools.zip_longest(down, down[1:])
        )
        head = zero_conv(plan[0].width, 2 * pixels, plan[0].size)
        nn.init.constant_(head.bias[pixels:], -1.0)  # type: ignore[index]
        self.head = nn.Sequential(nn.SiLU(), head)
        self.blocks = [(i, level) for i, level in enumerate(down) for _ in range(level.depth) if level.latent]
        self.shapes = [(level.latent, *level.size) for _, level in self.blocks]
        self.latent_shape = (sum(map(math.prod, self.shapes)),)

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | label)."""
        return Given(self, labels)

    def encode(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """The posterior mean of the noise of every layer, given the means of those before it, [n, *latent_shape]."""
        posteriors = self._infer(self._see(x), labels, lambda mean, log_std: mean)[1]
        return torch.cat([posterior.mean.flatten(1) for posterior in posteriors], dim=1)

    def decode(self, z: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """The mean of p(x | z), [n, *shape]."""
        return self._observation(z, labels)[0]

    def observe(self, z: Tensor, generator: Generator, *, labels: Tensor | None = None) -> Tensor:
        """x ~ p(x | z): Gaussian for points, logistic for images."""
        return draw_observation(*self._observation(z, labels), self.levels, generator)

    def terms(self, x: Tensor, *, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """log p(x | z) [n], and the divergence of every channel of every layer [n, groups]; see ``Evidence``."""
        observed, posteriors = self._infer(self._see(x), labels, _draw)
        kls = [normal_kl(posterior.mean, posterior.log_std).sum((2, 3)) for posterior in posteriors]
        return log_observation(x, *observed, self.levels), torch.cat(kls, dim=1)

    def log_bound(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """One draw of the evidence lower bound, [n], in nats."""
        log_likelihood, kls = self.terms(x, labels=labels)
        return log_likelihood - kls.sum(1)

    def log_weights(self, x: Tensor, k: int, *, labels: Tensor | None = None) -> Tensor:
        """log p(x | z_i) + log p(z_i) - log q(z_i | x) of k draws z_i ~ q(z | x), [k, n], in nats."""
        seen, at_once = self._see(x), max(1, ROWS_AT_ONCE // len(x))
        parts = [min(at_once, k - first) for first in range(0, k, at_once)]
        return torch.cat([self._log_weights(x, seen, part, labels) for part in parts])

    def _log_weights(self, x: Tensor, seen: list[Tensor], k: int, labels: Tensor | None) -> Tensor:
        repeated = [_repeat(one, k) for one in seen]
        observed, posteriors = self._infer(repeated, None if labels is None else labels.repeat(k), _draw)
        log_weights = log_observation(_repeat(x, k), *observed, self.levels)
        for mean, log_std, noise in posteriors:  # log N(noise; 0, 1) - log N(noise; mean, std^2)
            less = 0.5 * (((noise - mean) * torch.exp(-log_std)) ** 2 - noise**2) + log_std
            log_weights = log_weights + less.flatten(1).sum(1)
        return log_weights.view(k, len(x))

    def _see(self, x: Tensor) -> list[Tensor]:
        """The encoder's features, coarsest first."""
        x = x if is_image(self.shape) else x[:, :, None, None]
        height, breadth = x.shape[2:]
        padded = F.pad(x, (0, -breadth % self.patch, 0, -height % self.patch))
        return self.encoder(F.pixel_unshuffle(padded, self.patch))[::-1]

    def _infer(
        self, seen: list[Tensor], labels: Tensor | None, choose: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Observed, list[Posterior]]:
        """p(x | z), and the posterior of every layer, with the noise that ``choose(mean, log_std)`` makes of it."""
        posteriors: list[Posterior] = []
        per_block = (seen[i] for i, _ in self.blocks)

        def noise_at(block: TopDown, h: Tensor) -> Tensor:
            mean, log_std = block.infer(h, next(per_block))
            posteriors.append(Posterior(mean, log_std, choose(mean, log_std)))
            return posteriors[-1].noise

        return self._walk(len(seen[0]), labels, noise_at), posteriors

    def _observation(self, z: Tensor, labels: Tensor | None) -> Observed:
        parts: Iterator[Tensor] = iter(z.split([math.prod(shape) for shape in self.shapes], dim=1))
        return self._walk(len(z), labels, lambda block, h: next(parts).unflatten(1, block.shape))

    def _walk(self, n: int, labels: Tensor | None, noise_at: NoiseAt) -> Observed:
        h = self.top.expand(n, -1, -1, -1)
        for stage in self.stages:
            h = stage(h, labels, noise_at)
        return self._head(h)

    def _head(self, h: Tensor) -> Observed:
        with torch.autocast(h.device.type, enabled=False):  # a mean of eight bits would be half a grey level off
            out = F.pixel_shuffle(self.head(h.float()), self.patch)
        shape = self.shape if is_image(self.shape) else (*self.shape, 1, 1)
        mean, log_scale = out[:, :, : shape[1], : shape[2]].chunk(2, dim=1)
        return mean.reshape(-1, *self.shape), log_scale.reshape(-1, *self.shape)


def _draw(mean: Tensor, log_std: Tensor) -> Tensor:
    return mean + log_std.exp() * torch.randn_like(mean)


def _repeat(x: Tensor, k: int) -> Tensor:
    """[k n, ...]."""
    return x.repeat(k, *[1] * (x.dim() - 1))


def _default_depths(sizes: list[tuple[int, int]]) -> tuple[int, ...]:
    return (*([2] * (len(sizes) - 1)), 5) if len(sizes) > 1 else (4,)


def _default_latents(sizes: list[tuple[int, int]]) -> tuple[int, ...]:
    return (*(min(16, 4 * 2**i) for i in range(len(sizes) - 1)), 32) if len(sizes) > 1 else (2,)


def _one_each(
    sizes: list[tuple[int, int]], given: tuple[int, ...] | None, default: tuple[int, ...], name: str
) -> tuple[int, ...]:
    if given is not None and len(given) != len(sizes):
        told = ", ".join(f"{height}x{width}" for height, width in sizes)
        raise ValueError(f"{name} has {len(given)} numbers, there are {len(sizes)} resolutions, {told}: give one each")
    return default if given is None else given
