"""The distribution of one number on its grey levels, and of one number after the other."""

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

SMALLEST_LOG_SCALE = -7.0
FEWEST_FOR_LOGISTICS = 33
"""Levels from which on neighbours are so alike that a softmax would have to learn each of them anew."""


class Distribution(Protocol):
    """Of a number on L levels in [-1, 1], by ``width`` parameters that a network makes."""

    width: int

    def start(self) -> Tensor:
        """Parameters [width] that a network may start from: broad."""

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log P(x), [...], of parameters [..., width] and x [...]."""

    def sample(self, parameters: Tensor, generator: Generator, temperature: float = 1.0) -> Tensor:
        """Draws [n] in [-1, 1], of parameters [n, width]."""


class Softmax:
    """A logit for each level; a temperature T makes P^(1/T) of P."""

    def __init__(self, levels: int) -> None:
        self.levels = self.width = levels

    def start(self) -> Tensor:
        """All levels alike."""
        return torch.zeros(self.width)

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """The logit of the level of x, less the log of the sum of their exponentials."""
        level = ((x + 1) * ((self.levels - 1) / 2)).round().long()
        return parameters.log_softmax(-1).gather(-1, level[..., None])[..., 0]

    def sample(self, parameters: Tensor, generator: Generator, temperature: float = 1.0) -> Tensor:
        """A level by its probability."""
        return choose(parameters / temperature, generator) * (2 / (self.levels - 1)) - 1


class LogisticMixture:
    """A mixture of logistics, each level given the mass between its borders, the outermost all that lies beyond.

    P(x) = sum_i w_i (F((x + h - m_i) / s_i) - F((x - h - m_i) / s_i)), F the logistic function, h = 1 / (L - 1) half a
    level. With a and b the two arguments, F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)): no digits cancel, whatever s is. A
    temperature T makes w^(1/T) of the weights and T s of the scales.

    Reference: PixelCNN++ (Salimans et al., 2017), section 2.1.

    Args:
        levels: L, at least 2.
        components: Of the mixture; their parameters are the logits of w, then m, then log s.
    """

    def __init__(self, levels: int, components: int) -> None:
        self.levels, self.components, self.width = levels, components, 3 * components

    def start(self) -> Tensor:
        """Means spread over [-1, 1], scales that overlap."""
        means = torch.linspace(-1, 1, self.components + 2)[1:-1]
        return torch.cat([torch.zeros_like(means), means, torch.full_like(means, math.log(0.5 / self.components))])

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log P(x) by components."""
        logits, means, log_scales = parameters.unflatten(-1, (3, self.components)).unbind(-2)
        half = 1 / (self.levels - 1)
        inverse = torch.exp(-log_scales.clamp(min=SMALLEST_LOG_SCALE))
        x = x[..., None]
        centred = (x - means) * inverse
        above, below = centred + half * inverse, centred - half * inverse
        lowest, highest = x < half - 1, x > 1 - half
        inside = torch.log(-torch.expm1(-2 * half * inverse))
        log_mass = F.logsigmoid(above).masked_fill(highest, 0) + F.logsigmoid(-below).masked_fill(lowest, 0)
        log_mass = log_mass + inside.masked_fill(lowest | highest, 0)
        return torch.logsumexp(log_mass + logits.log_softmax(-1), -1)

    def sample(self, parameters: Tensor, generator: Generator, temperature: float = 1.0) -> Tensor:
        """A component by its weight, a draw from its logistic, rounded to the nearest level."""
        logits, means, log_scales = parameters.unflatten(-1, (3, self.components)).unbind(-2)
        chosen = choose(logits / temperature, generator)[:, None]
        scale = temperature * log_scales.gather(1, chosen)[:, 0].clamp(min=SMALLEST_LOG_SCALE).exp()
        u = torch.rand(len(parameters), generator=generator, device=parameters.device)
        x = means.gather(1, chosen)[:, 0] + scale * torch.logit(u, eps=1e-7)
        return ((x.clamp(-1, 1) + 1) * ((self.levels - 1) / 2)).round() * (2 / (self.levels - 1)) - 1


def choose(logits: Tensor, generator: Generator) -> Tensor:
    """An index by its probability, [n], of logits [n, k]: the largest after Gumbel noise."""
    u = torch.rand(logits.shape, generator=generator, device=logits.device)
    return (logits - torch.log(-torch.log(u.clamp(min=1e-20)))).argmax(1)


def distribution(levels: int, components: int) -> Distribution:
    """A softmax of up to 32 levels, else a mixture of logistics."""
    return Softmax(levels) if levels < FEWEST_FOR_LOGISTICS else LogisticMixture(levels, components)
