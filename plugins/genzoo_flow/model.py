"""What makes a bijection a model."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from genzoo.capabilities import Decoder, Density, Encoder
from genzoo_flow.layers import ActNorm, Invertible


class Flow(nn.Module, Density, Encoder, Decoder):
    """A bijection f from data to a standard normal: log p(x) = log N(f(x); 0, I) + log|det df/dx|."""

    trainer: ClassVar[str] = "maximum-likelihood"
    sampler: ClassVar[str] = "decode"

    def __init__(self, shape: tuple[int, ...], bijection: Invertible) -> None:
        super().__init__()
        self.shape, self.latent_shape = shape, (math.prod(shape),)
        self.bijection = bijection

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set every ActNorm from a batch of data, in order."""
        for layer in self.modules():
            if isinstance(layer, ActNorm):
                layer.waiting = True
        self.encode(x)

    def encode(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """z = f(x), [n, dimension]."""
        return self.bijection(x, labels)[0]

    def log_prob(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """log p(x), [n], in nats."""
        z, log_det = self.bijection(x, labels)
        return log_det - 0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def decode(self, z: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """x = f^-1(z), [n, *shape]."""
        return self.bijection.inverse(z, labels)
