"""The model: an nn.Module of any shape that says in its header what it can compute."""

import math
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import Density
from genzoo_template.capabilities import Components


class Mixture(nn.Module, Density, Components):
    """p(x) = sum_i w_i N(x; m_i, diag(s_i^2)).

    Reference: Pattern Recognition and Machine Learning (Bishop, 2006), section 9.2.

    Args:
        shape: Of one example: (2,) for points, (channels, height, width) for images.
        components: k.
        min_std: Added to every s: no Gaussian collapses on one example, or on a pixel that is always black.
    """

    trainer: ClassVar[str] = "em"
    sampler: ClassVar[str] = "ancestral-mixture"

    def __init__(self, shape: tuple[int, ...], *, components: int = 16, min_std: float = 0.05) -> None:
        super().__init__()
        self.shape, self.min_std = shape, min_std
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, math.prod(shape)))
        self.log_stds = nn.Parameter(torch.zeros(components, math.prod(shape)))

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Put each mean on one of the examples x [n, *shape] and give every Gaussian the spread of them all."""
        x = x.flatten(1)
        chosen = torch.arange(len(self.means), device=x.device) % len(x)
        self.means.copy_(x[chosen])
        self.log_stds.copy_(x.std(0).clamp(min=self.min_std).log().expand_as(self.log_stds))

    @property
    def weights(self) -> Tensor:
        """w, [k]."""
        return self.logits.softmax(0)

    @property
    def stds(self) -> Tensor:
        """s, [k, d]."""
        return self.log_stds.exp() + self.min_std

    def log_joint(self, x: Tensor) -> Tensor:
        """log w_i N(x; m_i, diag(s_i^2)), [n, k], in nats."""
        z = (x.flatten(1)[:, None] - self.means) / self.stds
        log_normal = -0.5 * (z**2 + math.log(2 * math.pi)) - self.stds.log()
        return self.logits.log_softmax(0) + log_normal.sum(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), [n], in nats."""
        return self.log_joint(x).logsumexp(1)

    def draw(self, labels: Tensor, generator: Generator) -> Tensor:
        """x ~ N(m_i, diag(s_i^2)) of each row's label i, [n, *shape]."""
        means, stds = self.means[labels], self.stds[labels]
        noise = torch.randn(means.shape, generator=generator, device=generator.device)
        return (means + stds * noise).view(-1, *self.shape)
