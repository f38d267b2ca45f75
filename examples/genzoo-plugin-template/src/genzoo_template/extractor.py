"""The extractor: an nn.Module that turns uint8 images into features, and says which images it takes."""

import hashlib
from typing import ClassVar

import torch
from torch import Tensor, nn

from genzoo.errors import InvalidSamples


class RadialSpectrum(nn.Module):
    """Log power by frequency, averaged over directions: sees blur, checkerboards and noise, and no objects.

    Feature b of a channel is log10(1 + mean of |F(u)|^2 / (h w)) over the frequencies u of ring b, where F is the
    discrete Fourier transform of the levels 0..255 and |u|, in cycles a pixel, is cut into equal rings up to the
    corner, sqrt(1/2). Rings without a frequency, of images of a few pixels, are 0.

    Reference: Watch your Up-Convolution: CNN Based Generative Deep Neural Networks are Failing to Reproduce Spectral
    Distributions (Durall et al., 2020).

    Args:
        rings: Features a channel.
    """

    batch_size: ClassVar[int] = 500

    def __init__(self, *, rings: int = 8) -> None:
        super().__init__()
        if rings < 1:
            raise ValueError(f"rings={rings} must be at least 1")
        self.rings = rings
        # Without weights, what decides the features is the definition and its options: another hash, other features.
        self.sha256 = hashlib.sha256(f"radial-spectrum 1: rings={rings}".encode()).hexdigest()

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        """Any size with at least one pixel."""
        if min(shape) < 1:
            raise InvalidSamples(f"radial-spectrum takes images of at least one pixel, these are {shape}")

    def features(self, images: Tensor) -> Tensor:
        """[n, channels * rings] float32 of uint8 images [n, c, h, w]."""
        height, width = images.shape[2:]
        power = torch.fft.fft2(images.float(), norm="ortho").abs().square().flatten(2)
        vertical, horizontal = (torch.fft.fftfreq(size, device=images.device) for size in (height, width))
        radius = torch.hypot(vertical[:, None], horizontal).flatten()
        ring = (radius / 0.5**0.5 * self.rings).long().clamp(max=self.rings - 1)
        member = nn.functional.one_hot(ring, self.rings).float()
        mean = power @ member / member.sum(0).clamp(min=1)
        return torch.log10(1 + mean).flatten(1)
