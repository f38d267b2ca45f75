"""A flow of spline couplings."""

from functools import partial

import torch
from pydantic import PositiveFloat, PositiveInt

from genzoo.images import is_image
from genzoo_flow.couplings import Coupling, Form, halves
from genzoo_flow.layers import ActNorm, Invertible, Linear1x1, Permute
from genzoo_flow.model import Alpha, Flow
from genzoo_flow.multiscale import bijection
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
        bins: Of each spline.
        reach: Splines live on [-reach, reach] and are the identity beyond.
        scales: At most.
        alpha: Of the logit: how far black and white are from minus and plus infinity.
        levels: Grey levels of the data, which say how far dequantised images reach beyond [-1, 1].
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
        alpha: Alpha = 0.05,
        levels: int | None = None,
    ) -> None:
        bins = bins or (8 if is_image(shape) else 32)
        form = Form(3 * bins - 1, partial(Spline.of, reach=reach))

        def steps(shape: tuple[int, ...]) -> list[Invertible]:
            passing, steered = halves(shape[0])
            layers: list[Invertible] = []
            for _ in range(couplings):
                net = residual((passing, *shape[1:]), steered * form.numbers, width, 1)
                mix = [ActNorm(shape), Linear1x1(shape)] if is_image(shape) else [Permute(torch.arange(shape[0]).roll(1))]
                layers += [*mix, Coupling(net, form)]
            return layers

        super().__init__(shape, bijection(shape, scales, alpha, levels, steps))
