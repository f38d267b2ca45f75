"""The makers: nets from latents [n, latent] and labels, [n] or None, to data [n, *shape] before any bound."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.nets import MLP, FourierFeatures
from genzoo_gan.critics import stages
from genzoo_gan.layers import ClassBatchNorm, GeneratorBlock, Upsample


class ResidualGenerator(nn.Module):
    """A linear layer to many channels of the smallest stage, residual blocks with upsampling, patches of pixels last.

    Half of the weights stand in the linear layer, where one costs least. Stages below the largest have one and a half
    times its channels and two blocks.

    Reference: Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), appendix B.4.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, num_classes: int | None) -> None:
        super().__init__()
        self.shape, self.patch = shape, 2 if max(shape[1:]) > 16 else 1
        sizes = stages(shape, self.patch, 7)[::-1]
        channels = [3 * width // 2] * (len(sizes) - 1) + [width]
        self.first = (4 * width, *sizes[0])
        self.stem, self.stem_norm = nn.Linear(latent, math.prod(self.first)), ClassBatchNorm(4 * width, num_classes)
        self.ups = nn.ModuleList([nn.Conv2d(4 * width, channels[0], 1)])
        self.ups += [Upsample(a, b, size) for a, b, size in zip(channels, channels[1:], sizes[1:], strict=False)]
        self.blocks = nn.ModuleList(
            nn.ModuleList(GeneratorBlock(c, num_classes) for _ in range(1 if c == width else 2)) for c in channels
        )
        self.norm = ClassBatchNorm(width, num_classes)
        self.head = nn.Conv2d(width, shape[0] * self.patch**2, 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        h = self.stem(z).unflatten(1, self.first).contiguous(memory_format=torch.channels_last)
        h = F.relu(self.stem_norm(h, labels))
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            h = up(h)
            for block in blocks:  # type: ignore[attr-defined]
                h = block(h, labels)
        pixels = F.pixel_shuffle(self.head(F.relu(self.norm(h, labels))), self.patch)
        return pixels[:, :, : self.shape[1], : self.shape[2]]


class PointGenerator(nn.Module):
    """Three hidden layers, from waves of z and of the class one-hot: without, it bends too little between modes."""

    def __init__(self, latent: int, dimension: int, width: int, num_classes: int | None) -> None:
        super().__init__()
        self.num_classes = num_classes
        waves = FourierFeatures(latent + (num_classes or 0), bandwidth=0.5)
        self.net = nn.Sequential(waves, MLP([waves.out, width, width, width, dimension]))

    def forward(self, z: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None or self.num_classes is None:
            return self.net(z)
        return self.net(torch.cat([z, F.one_hot(labels, self.num_classes).to(z.dtype)], dim=1))
