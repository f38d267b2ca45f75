"""A Gaussian fitted to a batch: what an energy tilts, and where walks begin."""

import math

import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import Decoder, Density, Encoder
from genzoo.images import is_image

REACH = 2.0
LARGEST = 4096
LEAST_STD = {True: 0.05, False: 0.1}


class Gaussian(nn.Module, Density, Encoder, Decoder):
    """N(m, A A^T), with A the symmetric square root of a covariance estimated from one batch.

    A batch has fewer images than an image has pixels, and its covariances S_ij of pixels far apart are mostly chance:
    S_ij (1 + exp(-r_ij^2 / (2 l^2))) / 2, with r_ij the distance of the pixels and l = 2, has full rank. Points, and
    images of more than 4096 numbers, get independent coordinates.

    Reference: A Sequential Ensemble Kalman Filter for Atmospheric Data Assimilation (Houtekamer and Mitchell, 2001),
    for covariances multiplied by a function of distance.
    """

    mean: Tensor
    root: Tensor
    inverse: Tensor

    def __init__(self, shape: tuple[int, ...], *, independent: bool = False) -> None:
        super().__init__()
        self.shape = self.latent_shape = shape
        d = math.prod(shape)
        self.register_buffer("mean", torch.zeros(d))
        self.full = is_image(shape) and d <= LARGEST and not independent
        for name in ("root", "inverse"):
            self.register_buffer(name, torch.eye(d) if self.full else torch.ones(d))

    def fit(self, x: Tensor) -> None:
        """Moments of x [n, *shape]; no direction has a standard deviation below 0.05 (images) or 0.1 (points)."""
        least = LEAST_STD[is_image(self.shape)]
        self.mean.copy_(x.flatten(1).mean(0))
        centred = x.flatten(1).double() - self.mean
        if self.full:
            covariance = centred.T @ centred / len(x) * nearness(self.shape).to(centred)
            variances, basis = torch.linalg.eigh(covariance)
            stds = variances.clamp(min=least**2).sqrt()
            self.root.copy_(basis * stds @ basis.T)
            self.inverse.copy_(basis / stds @ basis.T)
        else:
            stds = centred.square().mean(0).sqrt().clamp(min=least)
            self.root.copy_(stds)
            self.inverse.copy_(1 / stds)

    def decode(self, z: Tensor) -> Tensor:
        """m + A z."""
        return self._apply_to(self.root, z) + self.mean.view(self.shape)

    def encode(self, x: Tensor) -> Tensor:
        """A^-1 (x - m)."""
        return self._apply_to(self.inverse, x - self.mean.view(self.shape))

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; m, A A^T), [n]."""
        log_det = torch.logdet(self.inverse) if self.full else self.inverse.log().sum()
        d = math.prod(self.shape)
        return log_det - 0.5 * self.encode(x).square().flatten(1).sum(1) - 0.5 * d * math.log(2 * math.pi)

    def draw(self, n: int, generator: Generator) -> Tensor:
        """n draws, [n, *shape]."""
        return self.decode(torch.randn((n, *self.shape), generator=generator, device=generator.device))

    def _apply_to(self, matrix: Tensor, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            flat = x.float().flatten(1)
            return (flat @ matrix if self.full else flat * matrix).view(x.shape)


def nearness(shape: tuple[int, ...]) -> Tensor:
    """(1 + exp(-r_ij^2 / (2 l^2))) / 2 of the distances of pixels, [d, d]; channels of one pixel are at distance 0."""
    _, height, width = shape
    rows, columns = torch.arange(height), torch.arange(width)
    places = torch.cartesian_prod(rows, columns).double().repeat(shape[0], 1)
    return 0.5 + 0.5 * torch.exp(-0.5 * (torch.cdist(places, places) / REACH) ** 2)
