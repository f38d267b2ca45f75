"""The variational bound of a diffusion process whose reverse steps have a variance of their own for every number.

With x_0 as predicted from x_t in place of the data, step t of the reverse process is a normal that costs::

    L_t = KL(q(x_{t-1} | x_t, x) || N(mu(x_t, x_0), v))     t = 1 ... T - 1
    L_0 = -log p(x | x_0)                                   the decoder, N(x_0, v) or its mass of the image's levels

and so -log p(x) <= KL(q(x_{T-1} | x) || N(0, I)) + sum_t L_t.

References: Denoising Diffusion Probabilistic Models (Ho et al., 2020), equations 5 to 8 and 13; Improved Denoising
Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), equation 15, for log v = w log beta + (1 - w) log beta~.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genzoo.capabilities import expand
from genzoo.images import log_normal_mass


@dataclass(frozen=True)
class Steps:
    """Of every step of a process, [T] float64: abar, log beta and log beta-tilde, the weight of x_0 in the mean.

    beta-tilde_0, which is 0, is replaced by beta-tilde_1, as the decoder needs a variance.
    """

    abar: Tensor
    log_beta: Tensor
    log_beta_tilde: Tensor
    clean_weight: Tensor

    @classmethod
    def of(cls, betas: Tensor) -> "Steps":
        """Of a model's ``betas``."""
        betas = betas.detach().double()
        log_abar = torch.log1p(-betas).cumsum(0)
        noise = -torch.expm1(log_abar)
        before = torch.cat([noise.new_zeros(1), noise[:-1]])
        tilde = betas * before / noise
        tilde = torch.cat([tilde[1:2], tilde[1:]]) if len(betas) > 1 else betas
        clean_weight = torch.cat([log_abar.new_zeros(1), log_abar[:-1]]).mul(0.5).exp() * betas / noise
        return cls(log_abar.exp(), betas.log(), tilde.log(), clean_weight)

    def signal_and_noise(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar_t) and sqrt(1 - abar_t) of whole timesteps."""
        return self.abar[t].sqrt(), (1 - self.abar[t]).sqrt()

    def drawn(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Timesteps 1 ... T - 1 at the quantiles ``u``, and one over the chance of each: half of it alike for all t,
        half in proportion to what an error of the noise costs there.
        """
        snr = self.abar / (1 - self.abar)
        costs = snr[:-1] / snr[1:] - 1
        chances = 0.5 / len(costs) + 0.5 * costs / costs.sum()
        found = torch.searchsorted(chances.cumsum(0), u.double()).clamp(max=len(chances) - 1)
        return 1 + found, 1 / chances[found]

    def prior(self, x: Tensor) -> Tensor:
        """KL(q(x_{T-1} | x) || N(0, I)), [n] nats."""
        abar = self.abar[-1]
        return 0.5 * (abar * x.double() ** 2 - abar - torch.log1p(-abar)).flatten(1).sum(1)

    def log_variance(self, t: Tensor, width: Tensor) -> Tensor:
        """w log beta_t + (1 - w) log beta-tilde_t, of the shape of ``width`` [n, *shape]."""
        low, high = (expand(part[t].to(width), width) for part in (self.log_beta_tilde, self.log_beta))
        return low + width * (high - low)

    def kl(self, error: Tensor, t: Tensor, log_variance: Tensor) -> Tensor:
        """L_t of every number, t >= 1, where the predicted x_0 is off by ``error``; [n, *shape] nats."""
        log_ratio = expand(self.log_beta_tilde[t].to(error), error) - log_variance
        off = expand(self.clean_weight[t].to(error), error) * error
        return 0.5 * (torch.expm1(log_ratio) - log_ratio + off**2 * torch.exp(-log_variance))

    def costs(self, x: Tensor, clean: Tensor, width: Tensor, t: Tensor, levels: int | None) -> Tensor:
        """L_t of each example with x_0 = ``clean`` predicted from x_t, [n] nats; ``t`` [n] may hold 0."""
        log_variance = self.log_variance(t, width)
        first = expand(t == 0, x) > 0
        # Elsewhere the prediction may be so far off that the slope of a mass is no number, and masking keeps that.
        decoder = decoder_cost(x, torch.where(first, clean, x), log_variance, levels)
        return torch.where(first, decoder, self.kl(x - clean, t, log_variance)).flatten(1).sum(1)


def decoder_cost(x: Tensor, mean: Tensor, log_variance: Tensor, levels: int | None) -> Tensor:
    """-log N(x; mean, variance) of points; of images that of the mass within the borders of the level, same shape."""
    if levels is None:
        return 0.5 * ((x - mean) ** 2 * torch.exp(-log_variance) + log_variance + math.log(2 * math.pi))
    return -log_normal_mass(x, mean, torch.exp(0.5 * log_variance), levels)
