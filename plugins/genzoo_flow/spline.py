"""A flow of spline couplings, for points and for images of any size."""

from functools import partial

import torch
from pydantic import PositiveFloat, PositiveInt

from genzoo.images import is_image
from genzoo_flow.couplings import Coupling, Form, halves
from genzoo_flow.layers import ActNorm, Invertible, Linear1x1, Permute
from genzoo_flow.model import Flow
from genzoo_flow.multiscale import Alpha, bijection
from genzoo_flow.splines import Spline
from genzoo_flow.steering import residual


class SplineFlow(Flow):
    """Couplings whose functions are monotonic rational-quadratic splines: a few of them make any shape of points.

    Images pass a logit and go through scales as in Glow.

    Reference: Neural Spline Flows (Durkan, Bekasov, Murray and Papamakarios, 2019), the coupling flow RQ-NSF (C).

    Args:
        shape: Of one example.
        couplings: At each scale.
        width: Hidden units or channels of each coupling's net.
        bins: Of each spline; 4 of images and 32 of points by default.
        reach: A spline maps [-reach, reach] onto itself and is the identity beyond.
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
        couplings: PositiveInt = 4,
        width: PositiveInt = 64,
        bins: PositiveInt | None = None,
        reach: PositiveFloat = 4.0,
        scales: PositiveInt = 2,
        alpha: Alpha | None = None,
        levels: int | None = None,
    ) -> None:
        bins = bins or (4 if is_image(shape) else 32)
        form = Form(3 * bins - 1, partial(Spline.of, reach=reach))
        layers = partial(_couplings, number=couplings, form=form, width=width)
        super().__init__(shape, bijection(shape, scales, alpha, levels, layers))


def _couplings(shape: tuple[int, ...], scale: int, *, number: int, form: Form, width: int) -> list[Invertible]:
    passing, steered = halves(shape)
    layers: list[Invertible] = []
    order = torch.arange(shape[0]).roll(steered[0])
    for _ in range(number):
        layers += [ActNorm(shape), Linear1x1(shape)] if is_image(shape) else [Permute(order)]
        layers.append(Coupling(residual(passing, steered[0] * form.numbers, width, 1), form))
    return layers
