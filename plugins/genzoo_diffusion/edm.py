"""The preconditioned denoiser."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Conditional, Denoiser, Given, NoisyScore, expand, known_classes
from genzoo.images import is_image
from genzoo_diffusion.backbones import Backbone, build
from genzoo_diffusion.schedules import noise_range


class Preconditioned(nn.Module, Denoiser, NoisyScore, Conditional):
    """D(x; sigma) = c_skip x + c_out F(c_in x; c_noise), whose net F sees and says numbers of unit size::

        s^2 = sigma^2 + sigma_data^2     c_skip = sigma_data^2 / s^2     c_out = sigma sigma_data / s     c_in = 1 / s

    The net's time in [0, 1] is 1 / (1 + sigma), most finely resolved where pictures take shape. The noisy score comes
    from F without the difference D - x, which would lose its digits at small sigma.

    Reference: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022), table 1.
    """

    trainer: ClassVar[str] = "preconditioned-denoising"
    sampler: ClassVar[str] = "probability-flow"

    def __init__(
        self,
        shape: tuple[int, ...],
        net: nn.Module,
        sigma_data: float,
        sigmas: tuple[float, float],
        num_classes: int | None,
    ) -> None:
        super().__init__()
        self.shape, self.net, self.sigma_data = shape, net, sigma_data
        self.sigma_min, self.sigma_max = sigmas
        if num_classes is not None:
            self.num_classes = num_classes

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | label), one label a row."""
        return Given(self, labels)

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """D(x; sigma), [n, *shape] float32; sigma [] or [n]."""
        x, scale, size = self._sizes(x, sigma)
        output = self._net(x / size, sigma, labels)
        return (self.sigma_data / size) ** 2 * x + scale * self.sigma_data / size * output

    def noisy_score(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """(D - x) / sigma^2 = (sigma_data F / sigma - x / s) / s, [n, *shape] float32; sigma [] or [n]."""
        x, scale, size = self._sizes(x, sigma)
        output = self._net(x / size, sigma, labels)
        return (self.sigma_data / scale * output - x / size) / size

    def _sizes(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x, sigma shaped to broadcast, and s; float32."""
        scale = expand(sigma.to(x.device), x.float())
        return x.float(), scale, torch.sqrt(scale**2 + self.sigma_data**2)

    def _net(self, x: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
        return self.net(x, (1 / (1 + sigma.to(x.device).float())).expand(len(x)), labels).float()


def size_of(shape: tuple[int, ...]) -> float:
    """The standard deviation that data of a shape are taken to have: 0.5 of images, 1 of points."""
    return 0.5 if is_image(shape) else 1.0


def edm(
    shape: tuple[int, ...],
    *,
    sigma_data: PositiveFloat | None = None,
    sigma_min: PositiveFloat | None = None,
    sigma_max: PositiveFloat | None = None,
    backbone: Backbone = "unet",
    width: Annotated[int, Field(ge=8, multiple_of=8)] | None = None,
    patch: PositiveInt | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> Preconditioned:
    """The preconditioned denoiser of EDM.

    Reference: Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al., 2022).

    Args:
        shape: Of one example.
        sigma_data: Size of the data: 0.5 for images, 1 for points by default.
        sigma_min: Least noise: 0.002 for images, 0.01 for points by default.
        sigma_max: Most noise: 80 for images, 20 for points by default.
        backbone: The net of images: this zoo's ``unet`` or ``transformer``, the papers' ``ddpm`` or ``ddpm++``. Points
            have a residual MLP.
        width: Hidden units (points), channels of the first stage (UNet), or width of a token (transformer).
        patch: Side of the squares of pixels that the net sees as one position.
        num_classes: Classes of the data.
        conditional: Whether the net is told of the classes.

    Raises:
        ValueError: no range of noise; a net of images or patches for points; a conditional model of data without
            classes.
    """
    low, high = (0.002, 80.0) if is_image(shape) else (0.01, 20.0)
    sigmas = noise_range(sigma_min or low, sigma_max or high)
    classes = known_classes(num_classes) if conditional else None
    net = build(backbone, shape, width=width, patch=patch, num_classes=classes)
    return Preconditioned(shape, net, sigma_data or size_of(shape), sigmas, classes)
