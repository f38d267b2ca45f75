"""Flows of images: pixels become channels, a few steps at that scale, half of the channels leave, and again."""

from collections.abc import Callable

from genzoo.images import is_image
from genzoo_flow.layers import Chain, Flatten, Invertible, Logit, Split, Squeeze

Steps = Callable[[tuple[int, ...]], list[Invertible]]
"""The layers of one scale, of its shape (channels, height, width) after the squeeze."""


def bijection(shape: tuple[int, ...], scales: int, alpha: float, levels: int | None, steps: Steps) -> Chain:
    """From data to a vector: of points, the steps alone; of images, a logit and then steps at each scale."""
    if shape[0] * len(shape) < 2:
        raise ValueError(f"shape {shape} has one number: a coupling needs two, of which one steers the other")
    if not is_image(shape):
        return Chain(*steps(shape), Flatten(shape))
    bound = 1 + 1 / (levels - 1) if levels else 1.5
    return Chain(Logit(bound, alpha), multiscale(shape, scales, steps))


def multiscale(shape: tuple[int, ...], scales: int, steps: Steps) -> Chain:
    """As many scales as asked for, or as both sides can be halved: 28 has 14 and 7.

    Every scale begins with the squeeze, so that no net works at full resolution: a checkerboard of pixels is then a set
    of channels. A side that is odd from the first is divided by its smallest factor.

    Reference: Density Estimation Using Real NVP (Dinh et al., 2017), section 3.6.
    """
    c, h, w = shape
    rows, columns = smallest_factor(h), smallest_factor(w)
    shape = (c * rows * columns, h // rows, w // columns)
    layers = [Squeeze(rows, columns), *steps(shape)]
    if scales == 1 or shape[1] % 2 or shape[2] % 2:
        return Chain(*layers, Flatten(shape))
    staying = (shape[0] - shape[0] // 2, *shape[1:])
    return Chain(*layers, Split(shape, multiscale(staying, scales - 1, steps)))


def smallest_factor(side: int) -> int:
    """The smallest factor of a side but 1, unless that is the side."""
    return next((k for k in range(2, side + 1) if side % k == 0), 1)
