"""Flow matching: a net that says how fast noise moves to data."""

from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Conditional, Denoiser, Given, NoisyScore, Velocity, expand
from genzoo_diffusion.backbones import Backbone, build, classes_told


class FlowMatching(nn.Module, Velocity, Denoiser, NoisyScore, Conditional):
    """v(x_t, t) = E[x_1 - x_0 | x_t] of x_t = (1 - t) x_0 + t x_1, from noise x_0 to data x_1.

    x_t / t is the data plus sigma = (1 - t) / t times noise, so the net denoises too::

        D = x_t + (1 - t) v     score = -(x_t - t v) / sigma

    References: Flow Matching for Generative Modeling (Lipman et al., 2023); Flow Straight and Fast: Learning to
    Generate and Transfer Data with Rectified Flow (Liu et al., 2023).
    """

    trainer: ClassVar[str] = "flow-matching"
    sampler: ClassVar[str] = "flow"
    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def __init__(self, shape: tuple[int, ...], net: nn.Module, num_classes: int | None) -> None:
        super().__init__()
        self.shape, self.net = shape, net
        if num_classes is not None:
            self.num_classes = num_classes

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | label), one label a row."""
        return Given(self, labels)

    def velocity(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """v(x_t, t), [n, *shape] float32; t [] or [n] in [0, 1]."""
        return self.net(x_t.float(), t.to(x_t.device).float().expand(len(x_t)), labels).float()

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """x_t + (1 - t) v(x_t, t) with x_t = t x and t = 1 / (1 + sigma), [n, *shape] float32."""
        t = 1 / (1 + sigma.to(x.device).float())
        x_t = expand(t, x.float()) * x
        return x_t + expand(1 - t, x_t) * self.velocity(x_t, t, labels)

    def noisy_score(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """(D - x) / sigma^2 = t (v - x) / sigma, [n, *shape] float32."""
        t = 1 / (1 + sigma.to(x.device).float())
        scale = expand(t, x.float())
        return scale * (self.velocity(scale * x, t, labels) - x) / expand(sigma.to(x.device), x.float())


def flow_matching(
    shape: tuple[int, ...],
    *,
    backbone: Backbone = "unet",
    width: Annotated[int, Field(ge=8, multiple_of=8)] | None = None,
    patch: PositiveInt | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> FlowMatching:
    """Flow matching along straight paths.

    References: Flow Matching for Generative Modeling (Lipman et al., 2023); Flow Straight and Fast: Learning to
    Generate and Transfer Data with Rectified Flow (Liu et al., 2023).

    Args:
        shape: Of one example.
        backbone: The net of images: this zoo's ``unet`` or ``transformer``, the papers' ``ddpm`` or ``ddpm++``. Points
            have a residual MLP.
        width: Hidden units (points), channels of the first stage (UNet), or width of a token (transformer).
        patch: Side of the squares of pixels that the net sees as one position.
        num_classes: Classes of the data.
        conditional: Whether the net is told of the classes.

    Raises:
        ValueError: a net of images for points; a conditional model of data without classes.
    """
    classes = classes_told(num_classes, conditional)
    return FlowMatching(shape, build(backbone, shape, width=width, patch=patch, num_classes=classes), classes)
