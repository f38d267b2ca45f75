"""Glow, for points and for images of any size; also of a class."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Conditional, Given, known_classes
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
        widen: How many times wider the nets of the next scale are; 1 in the paper, but there width is cheap.
        kernel: Side of the middle one of a net's three convolutions; 1 in the paper, where width costs most time.
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
        kernel: Literal[1, 3] = 3,
        coupling: Literal["affine", "additive"] = "affine",
        alpha: Alpha | None = None,
        conditional: bool = False,
        num_classes: int | None = None,
        levels: int | None = None,
    ) -> None:
        classes = known_classes(num_classes) if conditional else None
        width = width or (32 if is_image(shape) and max(shape) <= 16 else 64)
        net = partial(shallow, kernel=kernel, num_classes=classes)

        def layers(shape: tuple[int, ...], scale: int) -> list[Invertible]:
            flow = steps_of(shape, steps, FORMS[coupling], width * widen**scale, net)
            return [*flow, split_prior(shape, classes)] if is_image(shape) else flow

        flow = bijection(shape, scales, alpha, levels, layers)
        super().__init__(shape, Chain(flow, ClassPrior(math.prod(shape), classes)) if classes else flow)
        if classes is not None:
            self.num_classes = classes

    def given(self, labels: Tensor) -> Given:
        """The flow of p(x | labels)."""
        return Given(self, labels)


Net = Callable[[tuple[int, ...], int, int], nn.Module]
"""Of the shape of what passes, the numbers to make of it, and the width."""


def steps_of(shape: tuple[int, ...], number: int, form: Form, width: int, net: Net) -> list[Invertible]:
    """ActNorm, 1x1 convolution and coupling, so many times."""
    passing, steered = halves(shape)
    layers: list[Invertible] = []
    for _ in range(number):
        coupling = Coupling(net(passing, steered[0] * form.numbers, width), form)
        layers += [ActNorm(shape), Linear1x1(shape), coupling]
    return layers


def split_prior(shape: tuple[int, ...], num_classes: int | None) -> Coupling:
    """The second half of the channels becomes standard: x = mean(first half) + scale(first half) z."""
    passing, steered = halves(shape)
    return Coupling(prior(passing, steered[0] * AFFINE.numbers, num_classes), AFFINE)
