"""Convolutional players with batch normalisation."""

import itertools
import math

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import known_classes
from genzoo.images import is_image
from genzoo.nets import halvings, identity
from genzoo_gan.critics import PointCritic
from genzoo_gan.generators import PointGenerator
from genzoo_gan.layers import ClassBatchNorm, Projection
from genzoo_gan.players import Players


class TransposedGenerator(nn.Module):
    """A linear layer to the smallest stage, then transposed convolutions that double it, normalised but for the last.

    z [n, latent] and labels, [n] or None, to images [n, *shape].
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, num_classes: int | None) -> None:
        super().__init__()
        sizes = halvings(shape[1], shape[2], smallest=8)[::-1]
        channels = [width * 2**i for i in range(len(sizes), 0, -1)]
        self.shape, self.sizes, self.first = shape, [*sizes[1:], shape[1:]], (channels[0], *sizes[0])
        self.stem = nn.Linear(latent, math.prod(self.first), bias=False)
        self.norms = nn.ModuleList(ClassBatchNorm(c, num_classes) for c in channels)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=False)
            for a, b in itertools.pairwise([*channels, shape[0]])
        )

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        h = self.stem(z).unflatten(1, self.first).contiguous(memory_format=torch.channels_last)
        for (height, width), norm, up in zip(self.sizes, self.norms, self.ups, strict=True):
            h = up(F.relu(norm(h, labels)))[:, :, :height, :width]
        return h


class StridedCritic(nn.Module):
    """Convolutions that halve the image, normalised but for the first, and a linear layer: [n, *shape] to [n]."""

    def __init__(self, shape: tuple[int, ...], width: int, num_classes: int | None) -> None:
        super().__init__()
        sizes = halvings(shape[1], shape[2], smallest=8)
        channels = [width * 2**i for i in range(len(sizes))]
        layers: list[nn.Module] = [nn.Conv2d(shape[0], width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for a, b in itertools.pairwise(channels):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.unit, self.trunk = 2 ** len(sizes), nn.Sequential(*layers)
        self.head = Projection(channels[-1] * math.prod(sizes[-1]), num_classes, identity)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        h, w = x.shape[2:]
        padded = F.pad(x, (0, -w % self.unit, 0, -h % self.unit))
        return self.head(self.trunk(padded).flatten(1), labels)


def initialize(module: nn.Module) -> None:
    """Every weight of a convolution or linear layer from N(0, 0.02^2), as the paper has it."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)


class DCGAN(Players):
    """Transposed convolutions against strided ones, batch normalisation in both; fully connected for points.

    References: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (Radford
    et al., 2016).

    Args:
        shape: Of one example.
        latent: Dimensions of z.
        width: Hidden units (points), or half the channels of the generator's last stage but one (images).
        critic_width: Hidden units (points), or channels of the critic's first stage (images).
        num_classes: Of the data.
        conditional: Whether it models p(x | class).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        latent: PositiveInt | None = None,
        width: PositiveInt | None = None,
        critic_width: PositiveInt | None = None,
        num_classes: int | None = None,
        conditional: bool = False,
    ) -> None:
        told = known_classes(num_classes) if conditional else None
        picture = is_image(shape)
        latent, width = latent or (100 if picture else 8), width or (64 if picture else 128)
        critic_width = critic_width or width
        generator: nn.Module
        critic: nn.Module
        if picture:
            generator = TransposedGenerator(latent, shape, width, told)
            critic = StridedCritic(shape, critic_width, told)
        else:
            generator = PointGenerator(latent, shape[0], width, told)
            critic = PointCritic(shape[0], critic_width, told)
        super().__init__(shape, latent, generator, critic, told)
        if picture:
            self.apply(initialize)
