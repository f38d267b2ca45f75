"""The nets that steer couplings: what passes -> numbers for what does not, zeros at first, so that nothing is changed.

``shape`` is that of what passes; ``fan_out`` the channels or coordinates that a net makes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.images import is_image
from genzoo.nets import ClassEmbedding, FourierFeatures

Shape = tuple[int, ...]

GAIN = 0.3
"""What a head makes is scaled by this: with its many inputs it would else move faster than all that is before it."""


class Steering(nn.Module):
    """head(trunk(stem(x) + embedding of the class)), the head zero at first; the answer in the precision of x."""

    def __init__(self, stem: nn.Module, trunk: nn.Module, head: nn.Module, classes: ClassEmbedding) -> None:
        super().__init__()
        self.stem, self.trunk, self.head, self.classes = stem, trunk, head, classes
        for parameter in head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        h, shift = self.stem(x), self.classes(labels, x)
        if shift.dim():
            h = h + shift[(...,) + (None,) * (x.dim() - 2)].to(h.dtype)
        return GAIN * self.head(self.trunk(h)).to(x.dtype)


class Residual(nn.Module):
    """h + conv(silu(conv(silu(norm(h))))), which starts as the identity but for a bias."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.norm = _norm(width)
        self.first, self.second = _conv(width, width, kernel), _conv(width, width, kernel)
        nn.init.zeros_(self.second.weight)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.second(F.silu(self.first(F.silu(self.norm(h)))))


def residual(shape: Shape, fan_out: int, width: int, blocks: int, num_classes: int | None = None) -> Steering:
    """Residual blocks of 3x3 convolutions (RealNVP's nets, normalised by example, not by batch); of points, layers."""
    classes = ClassEmbedding(num_classes, width)
    if not is_image(shape):
        return fully_connected(shape[0], fan_out, width, blocks, classes)
    kernel = _kernel(shape)
    trunk = nn.Sequential(*(Residual(width, kernel) for _ in range(blocks)), _norm(width), nn.SiLU())
    return Steering(_conv(shape[0], width, kernel), trunk, _conv(width, fan_out, kernel), classes)


def shallow(shape: Shape, fan_out: int, width: int, *, kernel: int = 1, num_classes: int | None = None) -> Steering:
    """Three convolutions, the middle one of ``kernel``; of points, layers.

    They are Glow's nets, but smooth: a score is their slope.
    """
    classes = ClassEmbedding(num_classes, width)
    if not is_image(shape):
        return fully_connected(shape[0], fan_out, width, 1, classes)
    outer = _kernel(shape)
    trunk = nn.Sequential(nn.SiLU(), _conv(width, width, min(kernel, outer)), _norm(width), nn.SiLU())
    return Steering(_conv(shape[0], width, outer), trunk, _conv(width, fan_out, outer), classes)


def fully_connected(fan_in: int, fan_out: int, width: int, hidden: int, classes: ClassEmbedding) -> Steering:
    """Layers over Fourier features of coordinates."""
    features = FourierFeatures(fan_in, num_frequencies=16)
    layers = [layer for _ in range(hidden) for layer in (nn.SiLU(), nn.Linear(width, width))]
    stem = nn.Sequential(features, nn.Linear(features.out, width))
    return Steering(stem, nn.Sequential(*layers, _norm(width), nn.SiLU()), nn.Linear(width, fan_out), classes)


def prior(shape: Shape, fan_out: int, num_classes: int | None = None) -> Steering:
    """One convolution of zeros: what leaves has the mean and the scale that what stays says (Glow's split prior)."""
    nothing = nn.Identity()
    return Steering(nothing, nothing, _conv(shape[0], fan_out, _kernel(shape)), ClassEmbedding(num_classes, shape[0]))


def _kernel(shape: Shape) -> int:
    return 3 if max(shape[1:]) > 1 else 1


def _conv(fan_in: int, fan_out: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2)


def _norm(width: int) -> nn.GroupNorm:
    """Of all that a net knows of an example: of one group, a fifth of the time that eight take with channels last."""
    return nn.GroupNorm(1, width)
