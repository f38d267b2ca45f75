"""Glow, for points and for images of any size; also of a class."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor

from genzoo.capabilities import Conditional, Given
from genzoo.images import is_image
from genzoo_flow.couplings import ADDITIVE, AFFINE, ClassPrior, Coupling, Form, halves
from genzoo_flow.layers import ActNorm, Chain, Invertible, Linear1x1
from genzoo_flow.model import Flow
from genzoo_flow.multiscale import Alpha, bijection
from genzoo_flow.steering import prior, shallow

FORMS: dict[str, Form] = {"affine": AFFINE, "additive": ADDITIVE}


class Glow(Flow, Conditional):
    """A multi-scale flow: ActNorm, an invertible 1x1 convolution and a coupling, K times at each of L scales.

    What leaves between two scales is normal with the mean and scale that a convolution of what stays says; that is one
    more coupling. A flow of a class has an embedding of it in every net.

    Reference: Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma and Dhariwal, 2018).

    Args:
        shape: Of one example.
        steps: K, at each scale.
        scales: L, or fewer where the sides cannot be halved as often.
        width: Hidden units or channels of each coupling's net at the first scale.
        widen: How many times wider the nets of the next scale are; 1 in the paper. Small pictures have cheap wide nets.
        coupling: ``affine`` or ``additive``.
        alpha: Of the logit that images pass: how near 0 and 1 black and white come; half a level by default.
        conditional: Whether it is a flow of p(x | class).
        num_classes: Of the data.
        levels: Grey levels of the data; 256 where they are not known.

    Raises:
        ValueError: conditional on classes that the data does not have; data of one number.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        steps: PositiveInt = 8,
        scales: PositiveInt = 3,
        width: PositiveInt | None = None,
        widen: PositiveInt = 2,
        coupling: Literal["affine", "additive"] = "affine",
        alpha: Alpha | None = None,
        conditional: bool = False,
        num_classes: int | None = None,
        levels: int | None = None,
    ) -> None:
        if conditional and num_classes is None:
            raise ValueError("conditional = True needs data with classes, and this has none: use conditional = False")
        classes, width = num_classes if conditional else None, width or (128 if max(shape) > 16 else 64)
        widths = [width * widen**scale for scale in range(scales)]
        layers = partial(_steps, number=steps, form=FORMS[coupling], widths=widths, num_classes=classes)
        flow = bijection(shape, scales, alpha, levels, layers)
        super().__init__(shape, Chain(flow, ClassPrior(math.prod(shape), classes)) if classes else flow)
        if classes is not None:
            self.num_classes = classes

    def given(self, labels: Tensor) -> Given:
        """The flow of p(x | labels)."""
        return Given(self, labels)


def _steps(
    shape: tuple[int, ...], scale: int, *, number: int, form: Form, widths: Sequence[int], num_classes: int | None
) -> list[Invertible]:
    steered = halves(shape)[1][0]
    layers: list[Invertible] = []
    for _ in range(number):
        net = shallow(halves(shape)[0], steered * form.numbers, widths[scale], num_classes)
        layers += [ActNorm(shape), Linear1x1(shape), Coupling(net, form)]
    if is_image(shape):
        layers.append(Coupling(prior(halves(shape)[0], steered * AFFINE.numbers, num_classes), AFFINE))
    return layers
