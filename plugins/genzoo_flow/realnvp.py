"""RealNVP, for points and for images of any size."""

from collections.abc import Iterator
from functools import partial

import torch
from pydantic import PositiveInt
from torch import Tensor

from genzoo.images import is_image
from genzoo_flow.couplings import AFFINE, Coupling, halves
from genzoo_flow.layers import ActNorm, Invertible, Permute
from genzoo_flow.model import Flow
from genzoo_flow.multiscale import Alpha, bijection
from genzoo_flow.steering import residual


class RealNVP(Flow):
    """A multi-scale flow of affine couplings with activation normalisation.

    Images pass a logit. Every scale squeezes pixels into channels; the first half of its couplings have checkerboard
    masks (which then are sets of channels), the second half channel masks; then half of the channels leave.

    References: Density Estimation Using Real NVP (Dinh et al., 2017); Glow (Kingma and Dhariwal, 2018) for ActNorm.

    Args:
        shape: Of one example.
        couplings: At each scale.
        width: Hidden units or channels of each coupling's net at the first scale; at each further one twice as many.
        blocks: Residual blocks of each coupling's net (hidden layers, of points).
        scales: At most; fewer where the sides cannot be halved as often.
        alpha: Of the logit that images pass: how near 0 and 1 black and white come; half a level by default.
        levels: Grey levels of the data; 256 where they are not known.

    Raises:
        ValueError: data of one number.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        couplings: PositiveInt | None = None,
        width: PositiveInt | None = None,
        blocks: PositiveInt = 1,
        scales: PositiveInt = 2,
        alpha: Alpha | None = None,
        levels: int | None = None,
    ) -> None:
        layers = partial(
            _couplings,
            number=couplings or (8 if is_image(shape) else 12),
            width=width or (64 if not is_image(shape) else 48 if max(shape) > 16 else 24),
            blocks=blocks,
        )
        super().__init__(shape, bijection(shape, scales, alpha, levels, layers))


def _couplings(shape: tuple[int, ...], scale: int, *, number: int, width: int, blocks: int) -> list[Invertible]:
    passing, steered = halves(shape)
    layers: list[Invertible] = []
    for order in orders(shape, number):
        net = residual(passing, steered[0] * AFFINE.numbers, width * 2**scale, blocks)
        layers += [ActNorm(shape), Permute(order), Coupling(net, AFFINE), Permute(order.argsort())]
    return [*layers, ActNorm(shape)]


def orders(shape: tuple[int, ...], couplings: int) -> Iterator[Tensor]:
    """Which channels or coordinates pass (the first half) and which are steered: by each mask one way and the other.

    Of an odd number one more passes than is steered: three couplings then steer them all.
    """
    channels = shape[0]
    for i in range(couplings):
        checkered = is_image(shape) and i < couplings // 2
        order = checkerboard(channels) if checkered else torch.arange(channels)
        yield order.roll(channels // 2 * i)


def checkerboard(channels: int) -> Tensor:
    """Of pixels that were squeezed two by two: first those whose row + column is even, then the others."""
    pixel = torch.arange(channels) % 4
    return ((pixel == 1) | (pixel == 2)).int().argsort(stable=True)
