"""The judges: nets from data [n, *shape] and labels, [n] or None, to logits [n]."""

import itertools

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genzoo.nets import MLP, halvings, identity
from genzoo_gan.layers import CriticBlock, Projection, Wrap, leaky_relu


def stages(shape: tuple[int, ...]) -> tuple[int, list[tuple[int, int]]]:
    """The side of an image's patches, and the sizes of the stages, largest first: two or more, down to 8 a side."""
    _, height, width = shape
    patch = 2 if max(height, width) > 16 else 1
    first = (-(-height // patch), -(-width // patch))
    return patch, [first, *halvings(*first, smallest=8)]


class ResidualCritic(nn.Module):
    """Patches, residual blocks that halve the picture, one more, and the sum over all positions; scaled.

    Every weight is wrapped: by default each has spectral norm 1.

    Reference: Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), appendix B.4.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        num_classes: int | None,
        *,
        wrap: Wrap = spectral_norm,
        gain: float = 10.0,
    ) -> None:
        super().__init__()
        self.gain = gain
        self.patch, sizes = stages(shape)
        channels = [width] + [3 * width // 2] * (len(sizes) - 1)
        self.stem = wrap(nn.Conv2d(shape[0] * self.patch**2, width, 3, padding=1))
        self.blocks = nn.Sequential(
            *(CriticBlock(a, b, wrap, down=True) for a, b in itertools.pairwise(channels)),
            CriticBlock(channels[-1], channels[-1], wrap, down=False),
        )
        self.head = Projection(channels[-1], num_classes, wrap)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        h, w = x.shape[2:]
        patches = F.pixel_unshuffle(F.pad(x, (0, -w % self.patch, 0, -h % self.patch)), self.patch)
        phi = F.leaky_relu(self.blocks(self.stem(patches)), 0.2).sum((2, 3))
        return self.gain * self.head(phi, labels).float()


class PointCritic(nn.Module):
    """Three hidden layers, then the logits, scaled by ``gain``."""

    def __init__(
        self, dimension: int, width: int, num_classes: int | None, *, wrap: Wrap = identity, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(MLP([dimension, width, width, width], wrap, leaky_relu), leaky_relu())
        self.head, self.gain = Projection(width, num_classes, wrap), gain

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.gain * self.head(self.trunk(x), labels).float()
