"""The energy-based model."""

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Energy
from genzoo.images import is_image
from genzoo.nets import encoder


class EBM(nn.Module, Energy):
    """p(x) proportional to exp(f(x)) q(x): a net tilts a Gaussian q fitted to the first batch, E(x) = -f(x) - log q(x).

    The Gaussian bounds the energy from below, so that no walk leaves for infinity, and is where walks start; ``step``
    is the Langevin step size that resolves data at its scale. ``base = "none"`` leaves p proportional to exp(f(x))
    alone, with walks from the same start.

    References: Implicit Generation and Modeling with Energy-Based Models (Du and Mordatch, 2019); Learning
    Energy-Based Models by Diffusion Recovery Likelihood (Gao et al., 2021) and A Tale of Two Flows (Xie et al., 2022)
    for the tilted form.

    Args:
        shape: Of one example.
        width: Hidden units (points) or channels of the first stage (images).
        base: What the net tilts.
    """

    trainer: ClassVar[str] = "contrastive-divergence"
    sampler: ClassVar[str] = "langevin"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: PositiveInt | None = None,
        base: Literal["gaussian", "none"] = "gaussian",
    ) -> None:
        super().__init__()
        self.shape, self.tilts = shape, base == "gaussian"
        self.step = 0.01 if is_image(shape) else 0.002
        self.net = encoder(shape, 1, width or (64 if is_image(shape) else 128))
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    mean: Tensor
    std: Tensor

    def initialize(self, x: Tensor) -> None:
        """Fit q, a Gaussian with independent coordinates, to a batch of data."""
        std, mean = torch.std_mean(x, 0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=0.1))

    def energy(self, x: Tensor) -> Tensor:
        """E(x), [n], in nats, up to a constant."""
        tilt = self.net(x).squeeze(1).float()
        if not self.tilts:
            return -tilt
        return 0.5 * (((x - self.mean) / self.std) ** 2).flatten(1).sum(1) - tilt

    def start(self, n: int, generator: Generator) -> Tensor:
        """Where a walk begins: x ~ q, [n, *shape]."""
        return self.mean + self.std * torch.randn((n, *self.shape), generator=generator, device=generator.device)
