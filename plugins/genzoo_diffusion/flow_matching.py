"""Flow matching: a net that says how fast noise moves to data."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Velocity, expand, known_classes
from genzoo_diffusion.backbones import Backbone, build
from genzoo_diffusion.edm import Preconditioned, size_of


class FlowMatching(Preconditioned, Velocity):
    """v(x_t, t) = E[x_1 - x_0 | x_t] of x_t = (1 - t) x_0 + t x_1, from noise x_0 to data x_1.

    The net F sees and says numbers of unit size. For data of mean 0 and standard deviation s, x_t has the size r, and v
    is the best linear guess plus what F says of the rest::

        r^2 = t^2 s^2 + (1 - t)^2     v = (t s^2 - (1 - t)) / r^2 x_t + s / r F(x_t / r, t)

    x_t / t is the data plus sigma = (1 - t) / t times noise, so the net denoises too; D = x_t + (1 - t) v is the
    preconditioned denoiser of EDM with the same F, whose time is t = 1 / (1 + sigma).

    References: Flow Matching for Generative Modeling (Lipman et al., 2023); Flow Straight and Fast: Learning to
    Generate and Transfer Data with Rectified Flow (Liu et al., 2023); Elucidating the Design Space of Diffusion-Based
    Generative Models (Karras et al., 2022), appendix B.6, for the sizes.
    """

    trainer: ClassVar[str] = "flow-matching"
    sampler: ClassVar[str] = "flow"

    def __init__(self, shape: tuple[int, ...], net: nn.Module, sigma_data: float, num_classes: int | None) -> None:
        super().__init__(shape, net, sigma_data, (0.002, 80.0), num_classes)

    def velocity(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """v(x_t, t), [n, *shape] float32; t [] or [n] in [0, 1]."""
        x_t, s, t = x_t.float(), self.sigma_data, t.to(x_t.device).float()
        time = expand(t, x_t)
        size = torch.sqrt(time**2 * s**2 + (1 - time) ** 2)
        output = self.net(x_t / size, t.expand(len(x_t)), labels).float()
        return (time * s**2 - (1 - time)) / size**2 * x_t + s / size * output


def flow_matching(
    shape: tuple[int, ...],
    *,
    sigma_data: PositiveFloat | None = None,
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
        sigma_data: Size of the data: 0.5 for images, 1 for points by default.
        backbone: The net of images: this zoo's ``unet`` or ``transformer``, the papers' ``ddpm`` or ``ddpm++``. Points
            have a residual MLP.
        width: Hidden units (points), channels of the first stage (UNet), or width of a token (transformer).
        patch: Side of the squares of pixels that the net sees as one position.
        num_classes: Classes of the data.
        conditional: Whether the net is told of the classes.

    Raises:
        ValueError: a net of images or patches for points; a conditional model of data without classes.
    """
    classes = known_classes(num_classes) if conditional else None
    net = build(backbone, shape, width=width, patch=patch, num_classes=classes)
    return FlowMatching(shape, net, sigma_data or size_of(shape), classes)
