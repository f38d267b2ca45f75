"""The metric: called with one comparison of generated and real images, it gives one measurement."""

import math
from dataclasses import dataclass

from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.protocols import Comparison, Measurement


@dataclass(frozen=True, kw_only=True)
class SharpnessGap:
    """|s(generated) - s(real)|, where s is the mean over images of their mean absolute step between neighbours.

    Small for images as sharp as the real ones; blurred and noisy ones are away on either side. In grey levels.

    Args:
        axes: How many directions are looked along: 1 for steps to the right only, 2 for steps down as well.
    """

    axes: int = 2

    def __post_init__(self) -> None:
        if self.axes not in (1, 2):
            raise ValueError(f"axes={self.axes} must be 1 or 2")

    def __call__(self, comparison: Comparison) -> Measurement:
        """Its standard error is that of the difference of two means of independent images.

        A perfect model scores the mean size of such a difference, sqrt(2 / pi) standard errors, and not 0.
        """
        generated, real = self._sharpness(comparison.generated.images), self._sharpness(comparison.real.images)
        se = math.sqrt(generated.var().item() / len(generated) + real.var().item() / len(real))
        how = f"mean absolute step between neighbours, {len(generated)} generated against {len(real)} real; se of means"
        gap = abs(generated.mean() - real.mean()).item()
        return Measurement(gap, "lower", how, se=se, expected=math.sqrt(2 / math.pi) * se)

    def _sharpness(self, images: Tensor) -> Tensor:
        """Of each image [n, h, w, c], [n] float64."""
        _, height, width, _ = images.shape
        if min(height, width) < 2 or len(images) < 2:
            raise InvalidSamples(f"sharpness-gap needs two images of 2x2 pixels or more, got {tuple(images.shape)}")
        x = images.double()
        steps = [x.diff(dim=dim).abs().flatten(1).mean(1) for dim in (2, 1)[: self.axes]]
        return sum(steps[1:], steps[0]) / len(steps)
