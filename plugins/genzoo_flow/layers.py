"""Invertible layers: ``forward(x) -> (z, log|det dz/dx| [n])`` and ``inverse(z) -> x``."""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image
from genzoo.nets import MLP


class Invertible(nn.Module):
    """A bijection with a tractable Jacobian determinant."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z and log|det dz/dx|, [n]."""
        raise NotImplementedError

    def inverse(self, z: Tensor) -> Tensor:
        """x with ``forward(x)[0] == z``."""
        raise NotImplementedError


class Chain(Invertible):
    """One bijection after another; the log-determinants add up."""

    def __init__(self, *layers: Invertible) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        log_det = x.new_zeros(len(x))
        for layer in self.layers:
            x, change = layer(x)
            log_det = log_det + change
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        for layer in reversed(list(self.layers)):
            z = cast(Invertible, layer).inverse(z)
        return z


class ActNorm(Invertible):
    """z = exp(s) (x + b), per channel; while ``waiting``, set so that what passes leaves with mean 0 and variance 1.

    Reference: Glow (Kingma and Dhariwal, 2018), section 3.1.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        per_channel = (shape[0], *[1] * (len(shape) - 1))
        self.bias = nn.Parameter(torch.zeros(per_channel))
        self.log_scale = nn.Parameter(torch.zeros(per_channel))
        self.pixels = math.prod(shape[1:])
        self.waiting = False

    @torch.no_grad()
    def _set(self, x: Tensor) -> None:
        std, mean = torch.std_mean(x, [i for i in range(x.dim()) if i != 1], correction=0, keepdim=True)
        self.bias.copy_(-mean[0])
        self.log_scale.copy_(-(std[0] + 1e-3).log())
        self.waiting = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.waiting:
            self._set(x)
        log_det = self.log_scale.sum() * self.pixels
        return (x + self.bias) * self.log_scale.exp(), log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return z * torch.exp(-self.log_scale) - self.bias


class Coupling(Invertible):
    """Affine coupling: where the mask is 1, x passes and steers; elsewhere z = x exp(s(mx)) + t(mx).

    The net's last layer starts at zero, so every coupling starts as the identity; s = a tanh(.) with a learned.

    Reference: Density Estimation Using Real NVP (Dinh et al., 2017), equations 7 to 9.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("mask", mask.contiguous(), persistent=False)
        self.net = (
            _image_net(mask.shape[0], width) if is_image(mask.shape) else MLP([len(mask), width, width, 2 * len(mask)])
        )
        self.bound = nn.Parameter(torch.ones(mask.shape[0], *[1] * (mask.dim() - 1)))
        for parameter in self.net[-1].parameters():
            nn.init.zeros_(parameter)

    def _log_scale_and_shift(self, passed: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self.net(passed).chunk(2, dim=1)
        free = 1 - self.mask
        return self.bound * torch.tanh(s) * free, t * free

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = self._log_scale_and_shift(x * self.mask)
        return x * s.exp() + t, s.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        s, t = self._log_scale_and_shift(z * self.mask)
        return (z - t) * torch.exp(-s)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.silu(self.first(F.silu(h))))


def _image_net(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        _Residual(width),
        nn.SiLU(),
        nn.Conv2d(width, 2 * channels, 3, padding=1),
    )


class Squeeze(Invertible):
    """2x2 pixels become four channels: [c, h, w] -> [4c, h/2, w/2]."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(z, 2)


class Logit(Invertible):
    """y = logit(a + (1 - 2a) (x + m) / 2m): from the interval [-m, m] to the line.

    Reference: Density Estimation Using Real NVP (Dinh et al., 2017), section 4.1 (a = 0.05).
    """

    def __init__(self, bound: float, alpha: float = 0.05) -> None:
        super().__init__()
        self.bound, self.alpha = bound, alpha

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        slope = (1 - 2 * self.alpha) / (2 * self.bound)
        p = self.alpha + slope * (x + self.bound)
        log_slope = math.log(slope) - p.log() - torch.log1p(-p)
        return p.log() - torch.log1p(-p), log_slope.flatten(1).sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        p = torch.sigmoid(z)
        return (p - self.alpha) * (2 * self.bound) / (1 - 2 * self.alpha) - self.bound
