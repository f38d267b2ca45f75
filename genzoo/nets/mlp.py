"""Fully connected nets, for points."""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.nets.classes import ClassEmbedding

Wrap = Callable[[nn.Module], nn.Module]
"""A wrapper around every weighted layer: the identity, or spectral normalisation."""


Activation = Callable[[], nn.Module]
"""What makes the nonlinearity."""

SHORTEST, LONGEST = 0.05, 10.0
"""Wavelengths that embed a time in [0, 1]."""


def identity(layer: nn.Module) -> nn.Module:
    """The layer as it is."""
    return layer


class MLP(nn.Sequential):
    """Linear layers with a nonlinearity between them: ``MLP([2, 128, 128, 1])``."""

    def __init__(self, sizes: Sequence[int], wrap: Wrap = identity, activation: Activation = nn.SiLU) -> None:
        layers: list[nn.Module] = []
        for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            layers += [activation()] if i else []
            layers += [wrap(nn.Linear(fan_in, fan_out))]
        super().__init__(*layers)


class FourierFeatures(nn.Module):
    """x [n, d] to [x, cos(Bx), sin(Bx)], [n, out], B fixed with entries from N(0, bandwidth^2).

    Without them a small net of coordinates learns nothing sharper than a fraction of the data's scale.

    Reference: Fourier Features Let Networks Learn High Frequency Functions (Tancik et al., 2020), equation 5.
    """

    frequencies: Tensor

    def __init__(self, dimension: int, num_frequencies: int = 32, bandwidth: float = 4.0) -> None:
        super().__init__()
        self.register_buffer("frequencies", bandwidth * torch.randn(dimension, num_frequencies))
        self.out = dimension + 2 * num_frequencies

    def forward(self, x: Tensor) -> Tensor:
        angles = x @ self.frequencies
        return torch.cat([x, angles.cos(), angles.sin()], dim=1)


def sinusoids(t: Tensor, width: int, longest: float = 10_000.0) -> Tensor:
    """The transformer's embedding of t [n]: cosines and sines at ``width / 2`` geometric frequencies, [n, width].

    Reference: Attention Is All You Need (Vaswani et al., 2017), section 3.5.
    """
    half = width // 2
    frequencies = torch.exp(-math.log(longest) * torch.arange(half, device=t.device) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def embedded_time(t: Tensor, width: int) -> Tensor:
    """Sinusoids of t [n] in [0, 1] with wavelengths from 0.05 to 10, [n, width].

    t is a continuum: a wave much shorter than 0.05 would tell a net of neighbouring noise levels as of strangers.
    """
    return sinusoids(2 * math.pi / SHORTEST * t, width, longest=LONGEST / SHORTEST)


class ResidualMLP(nn.Module):
    """A residual net for points, each block shifted by an embedding of t in [0, 1] and of the class.

    x [n, d], t [n], labels [n] or None -> [n, outputs * d]: a multiple of x, told by t, and a rest that is bounded, as
    what its layers see is normalised. Without bounds, a path that strays to where the net was never trained is thrown
    to infinity.
    """

    def __init__(
        self, dimension: int, width: int, num_blocks: int, *, outputs: int = 1, num_classes: int | None = None
    ) -> None:
        super().__init__()
        self.width = width
        self.embed_t = nn.Sequential(nn.Linear(width, width), nn.SiLU())
        self.embed_class = ClassEmbedding(num_classes, width)
        features = FourierFeatures(dimension, bandwidth=2.0)
        self.embed_x = nn.Sequential(features, nn.Linear(features.out, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(num_blocks)
        )
        self.out = nn.Linear(width, outputs * dimension)
        self.gain = nn.Linear(width, outputs * dimension)
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)
        self.outputs = outputs

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        shift = self.embed_t(embedded_time(t, self.width)) + self.embed_class(labels, x)
        h = self.embed_x(x)
        for block in self.blocks:
            h = h + block(F.layer_norm(h, (self.width,)) + shift)
        return self.out(F.silu(F.layer_norm(h, (self.width,)))) + self.gain(shift) * x.repeat(1, self.outputs)
