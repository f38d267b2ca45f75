"""Flows of images: pixels become channels, a few steps at that scale, half of the channels leave, and again."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from genzoo.images import is_image
from genzoo_flow.couplings import halves
from genzoo_flow.layers import Chain, Flatten, Invertible, Logit, Split, Squeeze

Alpha = Annotated[float, Field(gt=0, lt=0.5)]
"""Of a :class:`Logit`."""

Steps = Callable[[tuple[int, ...], int], list[Invertible]]
"""The layers of one scale: of its shape (channels, height, width) after the squeeze, and its number from 0."""


def bijection(shape: tuple[int, ...], scales: int, alpha: float | None, levels: int | None, steps: Steps) -> Chain:
    """From data to a vector: of points, the steps alone; of images, a logit and then steps at each scale.

    Without ``alpha`` the logit's is half a level. Dequantised images reach half a level beyond [-1, 1].

    Raises:
        ValueError: data of one number; an ``alpha`` for points.
    """
    if max(shape) < 2:
        raise ValueError(f"data of shape {shape} has one number: a coupling needs two, one to steer the other")
    if not is_image(shape):
        if alpha is not None:
            raise ValueError(f"alpha={alpha:g}: points have no range that a logit would open; leave alpha out")
        return Chain(*steps(shape, 0), Flatten(shape))
    levels = levels or 256
    return Chain(Logit(levels / (levels - 1), alpha or 1 / (2 * levels)), multiscale(shape, scales, steps))


def multiscale(shape: tuple[int, ...], scales: int, steps: Steps, number: int = 0) -> Chain:
    """As many scales as asked for, or as both sides can be halved: 28 has 14 and 7.

    Every scale begins with the squeeze, so that no net works at full resolution: a checkerboard of pixels is then a set
    of channels. A side that is odd from the first is divided by its smallest factor.

    Reference: Density Estimation Using Real NVP (Dinh et al., 2017), section 3.6.
    """
    c, h, w = shape
    rows, columns = smallest_factor(h), smallest_factor(w)
    shape = (c * rows * columns, h // rows, w // columns)
    layers = [Squeeze(rows, columns), *steps(shape, number)]
    if number + 1 == scales or shape[1] % 2 or shape[2] % 2:
        return Chain(*layers, Flatten(shape))
    staying, leaving = halves(shape)
    return Chain(*layers, Split(leaving, multiscale(staying, scales, steps, number + 1)))


def smallest_factor(side: int) -> int:
    """The smallest factor of a side but 1, which only 1 itself has."""
    return next((k for k in range(2, side + 1) if side % k == 0), 1)
