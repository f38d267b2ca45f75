"""The judges: nets from data [n, *shape] and labels, [n] or None, to logits [n]."""

import itertools
import math

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from genzoo.nets import MLP, FourierFeatures, Wrap, halvings, identity
from genzoo_gan.layers import CriticBlock, Projection, leaky_relu


def stages(shape: tuple[int, ...], patch: int, smallest: int) -> list[tuple[int, int]]:
    """The sizes of an image in patches, and halved until no side is longer than ``smallest``, largest first."""
    first = (-(-shape[1] // patch), -(-shape[2] // patch))
    return [first] if max(first) <= smallest else [first, *halvings(*first, smallest=smallest)]


class ResidualCritic(nn.Module):
    """2x2 patches, residual blocks that halve the picture, one more, and a linear layer of all positions.

    Pictures of one size show things in their place: a sum over the positions, as the paper has it, forgets where, and
    learns more slowly. Every weight is wrapped: by default each has spectral norm 1.

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
        self.gain, sizes = gain, stages(shape, 2, 8)
        channels = [width] + [3 * width // 2] * (len(sizes) - 1)
        self.stem = wrap(nn.Conv2d(4 * shape[0], width, 3, padding=1))
        self.blocks = nn.Sequential(
            *(CriticBlock(a, b, wrap, down=True) for a, b in itertools.pairwise(channels)),
            CriticBlock(channels[-1], channels[-1], wrap, down=False),
        )
        self.head = Projection(channels[-1] * math.prod(sizes[-1]), num_classes, wrap)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        patches = F.pixel_unshuffle(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)), 2)
        phi = F.leaky_relu(self.blocks(self.stem(patches)), 0.2)
        return self.gain * self.head(phi.flatten(1), labels)


class PointCritic(nn.Module):
    """Three hidden layers, then the logits, scaled by ``gain``.

    They see waves of x, which tell neighbouring modes apart; not where ``wrap`` bounds their weights, as waves are
    steeper than x itself.
    """

    def __init__(
        self, dimension: int, width: int, num_classes: int | None, *, wrap: Wrap = identity, gain: float = 1.0
    ) -> None:
        super().__init__()
        waves = FourierFeatures(dimension, bandwidth=2.0) if wrap is identity else None
        layers = MLP([waves.out if waves else dimension, width, width, width], wrap, leaky_relu)
        self.trunk = nn.Sequential(*([waves] if waves else []), layers, leaky_relu())
        self.head, self.gain = Projection(width, num_classes, wrap), gain

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.gain * self.head(self.trunk(x), labels)
