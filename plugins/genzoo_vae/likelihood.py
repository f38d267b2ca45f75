"""What a decoder says of the data: normal points, pixels with a discretised logistic."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

MIN_LOG_SCALE, MAX_LOG_SCALE = -7.0, 5.0
"""Narrower than any level, wider than all of them together: beyond, float32 has only zeros and infinities."""


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


def normal_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(0, 1)), elementwise, in nats."""
    return 0.5 * (mean**2 + torch.exp(2 * log_std) - 1) - log_std


def log_observation(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int | None) -> Tensor:
    """log p(x | z), [n] nats: discretised logistics of that many levels, or normal densities where there are none."""
    log_scale = log_scale.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE)
    if levels is None:
        return log_normal(x, mean, log_scale).flatten(1).sum(1)
    return log_logistic_mass(x, mean, log_scale, levels).flatten(1).sum(1)


def draw_observation(mean: Tensor, log_scale: Tensor, levels: int | None, generator: Generator) -> Tensor:
    """x ~ p(x | z): normal where there are no levels, else logistic (by inverting its distribution function)."""
    if levels is None:
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    else:
        noise = torch.rand(mean.shape, generator=generator, device=mean.device).logit(1e-6)
    return mean + log_scale.clamp(MIN_LOG_SCALE, MAX_LOG_SCALE).exp() * noise
