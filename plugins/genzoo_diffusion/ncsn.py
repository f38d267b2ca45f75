"""The noise-conditional score network."""

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Conditional, Given, NoisyScore, expand, known_classes
from genzoo.images import is_image
from genzoo_diffusion.backbones import Backbone, build
from genzoo_diffusion.schedules import noise_range


class NCSN(nn.Module, NoisyScore, Conditional):
    """s(x; sigma) = F(x / sqrt(1 + sigma^2), log sigma) / sigma: the score of the data blurred by sigma.

    The net says minus the noise, which has unit size at every sigma, and sees numbers of unit size.

    References: Generative Modeling by Estimating Gradients of the Data Distribution (Song and Ermon, 2019); Improved
    Techniques for Training Score-Based Generative Models (Song and Ermon, 2020), techniques 1 and 3; Elucidating the
    Design Space of Diffusion-Based Generative Models (Karras et al., 2022), section 5, for the size of the input.
    """

    trainer: ClassVar[str] = "denoising-score-matching"
    sampler: ClassVar[str] = "reverse-sde"

    def __init__(
        self, shape: tuple[int, ...], net: nn.Module, sigmas: tuple[float, float], num_classes: int | None
    ) -> None:
        super().__init__()
        self.shape, self.net = shape, net
        self.sigma_min, self.sigma_max = sigmas
        if num_classes is not None:
            self.num_classes = num_classes

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | label), one label a row."""
        return Given(self, labels)

    def noisy_score(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """grad log p(x; sigma), [n, *shape] float32; sigma [] or [n]."""
        scale, low, high = expand(sigma.to(x.device), x.float()), math.log(self.sigma_min), math.log(self.sigma_max)
        t = (sigma.to(x.device).float().log() - low) / (high - low)
        return self.net(x.float() / torch.sqrt(1 + scale**2), t.expand(len(x)), labels).float() / scale


def ncsn(
    shape: tuple[int, ...],
    *,
    sigma_min: PositiveFloat = 0.01,
    sigma_max: PositiveFloat | None = None,
    backbone: Backbone = "unet",
    width: Annotated[int, Field(ge=8, multiple_of=8)] | None = None,
    patch: PositiveInt | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> NCSN:
    """The noise-conditional score network, of data whose variance explodes.

    References: Generative Modeling by Estimating Gradients of the Data Distribution (Song and Ermon, 2019); Improved
    Techniques for Training Score-Based Generative Models (Song and Ermon, 2020); Score-Based Generative Modeling
    through Stochastic Differential Equations (Song et al., 2021), the VE process.

    Args:
        shape: Of one example.
        sigma_min: Least noise.
        sigma_max: Most noise, of the order of the largest distance between two examples: 50 for images, 20 for points
            by default.
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
    sigmas = noise_range(sigma_min, sigma_max or (50.0 if is_image(shape) else 20.0))
    classes = known_classes(num_classes) if conditional else None
    net = build(backbone, shape, width=width, patch=patch, num_classes=classes)
    return NCSN(shape, net, sigmas, classes)
