"""Glow."""

from typing import Literal

from pydantic import PositiveInt

from genzoo.capabilities import Conditional, Given
from genzoo.images import is_image
from genzoo_flow.couplings import ADDITIVE, AFFINE, Coupling, Form, halves
from genzoo_flow.layers import ActNorm, Invertible, Linear1x1
from genzoo_flow.model import Alpha, Flow
from genzoo_flow.multiscale import bijection
from genzoo_flow.steering import prior, shallow
from torch import Tensor

FORMS: dict[str, Form] = {"affine": AFFINE, "additive": ADDITIVE}


class Glow(Flow, Conditional):
    """A multi-scale flow: ActNorm, an invertible 1x1 convolution and a coupling, K times at each of L scales.

    What leaves between two scales is normal with the mean and scale that a convolution of what stays says.

    Reference: Glow: Generative Flow with Invertible 1x1 Convolutions (Kingma and Dhariwal, 2018).

    Args:
        shape: Of one example.
        steps: K, at each scale.
        scales: L, at most.
        width: Hidden units or channels of each coupling's net.
        coupling: ``affine`` or ``additive``.
        alpha: Of the logit: how far black and white are from minus and plus infinity.
        conditional: Whether every net is told the class.
        num_classes: Of the data.
        levels: Grey levels of the data, which say how far dequantised images reach beyond [-1, 1].

    Raises:
        ValueError: conditional, and the data has no classes.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        steps: PositiveInt = 8,
        scales: PositiveInt = 3,
        width: PositiveInt | None = None,
        coupling: Literal["affine", "additive"] = "affine",
        alpha: Alpha = 0.05,
        conditional: bool = False,
        num_classes: int | None = None,
        levels: int | None = None,
    ) -> None:
        if conditional and num_classes is None:
            raise ValueError("conditional is for data with classes, and this has none: leave it out")
        classes, width, form = num_classes if conditional else None, width or (128 if is_image(shape) else 64), FORMS[coupling]

        def layers(shape: tuple[int, ...]) -> list[Invertible]:
            passing, steered = halves(shape[0])
            flow: list[Invertible] = []
            for _ in range(steps):
                net = shallow((passing, *shape[1:]), steered * form.numbers, width, classes)
                flow += [ActNorm(shape), Linear1x1(shape), Coupling(net, form)]
            if is_image(shape):
                flow.append(Coupling(prior((passing, *shape[1:]), steered * AFFINE.numbers, classes), AFFINE))
            return flow

        super().__init__(shape, bijection(shape, scales, alpha, levels, layers))
        if classes is not None:
            self.num_classes = classes

    def given(self, labels: Tensor) -> Given:
        """The flow of p(x | labels)."""
        return Given(self, labels)
