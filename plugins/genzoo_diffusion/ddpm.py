"""Denoising diffusion probabilistic models, with fixed and with learned variances."""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from genzoo.capabilities import Conditional, Given, LearnedVariance, LowerBound, NoisePredictor, expand, known_classes
from genzoo.images import is_image
from genzoo_diffusion.backbones import Backbone, build
from genzoo_diffusion.schedules import BETAS, signal_and_noise
from genzoo_diffusion.variational import Steps

Target = Literal["noise", "x0", "v"]

TO_NOISE: dict[Target, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "noise": lambda output, x_t, signal, noise: output,
    "x0": lambda output, x_t, signal, noise: (x_t - signal * output) / noise,
    "v": lambda output, x_t, signal, noise: noise * x_t + signal * output,
}
"""eps from what the net says, where x_t = signal x_0 + noise eps and v = signal eps - noise x_0."""

DRAWS = 16


class DDPM(nn.Module, NoisePredictor, Conditional):
    """A net that tells the noise in x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, whatever it says itself.

    ``target`` is what it says: the noise, x_0, or v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0.

    References: Denoising Diffusion Probabilistic Models (Ho et al., 2020); Progressive Distillation for Fast Sampling
    of Diffusion Models (Salimans and Ho, 2022), section 4, for the targets.
    """

    trainer: ClassVar[str] = "denoising"
    betas: Tensor

    def __init__(
        self, shape: tuple[int, ...], net: nn.Module, betas: Tensor, target: Target, num_classes: int | None
    ) -> None:
        super().__init__()
        self.shape, self.sampler = shape, "ddim" if is_image(shape) else "ddpm"
        self.net, self.target = net, target
        self.register_buffer("betas", betas, persistent=False)
        if num_classes is not None:
            self.num_classes = num_classes

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | label), one label a row."""
        return Given(self, labels)

    def predict(self, x_t: Tensor, timestep: Tensor, labels: Tensor | None = None) -> Tensor:
        """The noise in x_t, [n, *shape] float32; timestep [] or [n] in [0, T - 1]."""
        return self._noise(self._output(x_t, timestep, labels), x_t, timestep)

    def _output(self, x_t: Tensor, timestep: Tensor, labels: Tensor | None) -> Tensor:
        t = timestep.to(x_t.device).expand(len(x_t)) / len(self.betas)
        return self.net(x_t.float(), t, labels).float()

    def _noise(self, output: Tensor, x_t: Tensor, timestep: Tensor) -> Tensor:
        scales = (expand(s.float(), x_t) for s in signal_and_noise(self.betas, timestep.to(x_t.device)))
        return TO_NOISE[self.target](output, x_t.float(), *scales)


class ImprovedDDPM(DDPM, LearnedVariance, LowerBound):
    """A DDPM whose net also says w, for the variance exp(w log beta + (1 - w) log beta-tilde) of every number.

    Its bound is that of the process of all T steps: of the mass of images, of the density of points.

    Reference: Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        net: nn.Module,
        betas: Tensor,
        target: Target,
        num_classes: int | None,
        levels: int | None,
    ) -> None:
        super().__init__(shape, net, betas, target, num_classes)
        self.sampler, self.levels = "ddpm", levels
        self.bounds: Literal["density", "mass"] = "density" if levels is None else "mass"

    def predict(self, x_t: Tensor, timestep: Tensor, labels: Tensor | None = None) -> Tensor:
        """The noise in x_t, [n, *shape] float32; timestep [] or [n] in [0, T - 1]."""
        return self.predict_with_variance(x_t, timestep, labels)[0]

    def predict_with_variance(
        self, x_t: Tensor, timestep: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The noise in x_t and w, about a half at first; [n, *shape] float32."""
        output, width = self._output(x_t, timestep, labels).chunk(2, dim=1)
        return self._noise(output, x_t, timestep), (width + 1) / 2

    def log_bound(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """One draw of the bound from 17 timesteps, [n] nats: the decoder's, and one of each sixteenth of the rest."""
        steps, first = Steps.of(self.betas), torch.zeros(len(x), dtype=torch.long, device=x.device)
        cost = steps.prior(x) + self._cost(steps, x, first, labels)
        for i in range(DRAWS):
            t, weight = steps.drawn((i + torch.rand(len(x), device=x.device)) / DRAWS)
            cost = cost + weight / DRAWS * self._cost(steps, x, t, labels)
        return -cost

    def _cost(self, steps: Steps, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        signal, noise = (expand(scale, x) for scale in steps.signal_and_noise(t))
        x_t = signal * x + noise * torch.randn_like(x)
        found, width = self.predict_with_variance(x_t, t, labels)
        clean = (x_t.double() - noise.double() * found) / signal.double()
        return steps.costs(x.double(), clean, width.double(), t, self.levels)


def ddpm(
    shape: tuple[int, ...],
    *,
    target: Target = "noise",
    schedule: Literal["linear", "cosine"] = "linear",
    timesteps: Annotated[int, Field(ge=2)] = 1000,
    learned_variance: bool = False,
    backbone: Backbone = "unet",
    width: Annotated[int, Field(ge=8, multiple_of=8)] | None = None,
    patch: PositiveInt | None = None,
    levels: PositiveInt | None = None,
    num_classes: int | None = None,
    conditional: bool = False,
) -> DDPM:
    """The denoising diffusion probabilistic model.

    References: Denoising Diffusion Probabilistic Models (Ho et al., 2020); Improved Denoising Diffusion Probabilistic
    Models (Nichol and Dhariwal, 2021) for the cosine schedule and the learned variance; Progressive Distillation for
    Fast Sampling of Diffusion Models (Salimans and Ho, 2022) for the targets.

    Args:
        shape: Of one example.
        target: What the net says: the noise, x_0 or v = sqrt(abar) eps - sqrt(1 - abar) x_0.
        schedule: How abar_t falls.
        timesteps: T.
        learned_variance: The net also says how widely each reverse step spreads, between beta-tilde and beta.
        backbone: The net of images: this zoo's ``unet`` or ``transformer``, the papers' ``ddpm`` or ``ddpm++``. Points
            have a residual MLP.
        width: Hidden units (points), channels of the first stage (UNet), or width of a token (transformer).
        patch: Side of the squares of pixels that the net sees as one position.
        levels: Grey levels of the images.
        num_classes: Classes of the data.
        conditional: Whether the net is told of the classes.

    Raises:
        ValueError: a net of images or patches for points; a conditional model of data without classes.
    """
    classes = known_classes(num_classes) if conditional else None
    outputs = 2 if learned_variance else 1
    net = build(backbone, shape, width=width, patch=patch, outputs=outputs, num_classes=classes)
    betas = BETAS[schedule](timesteps)
    if learned_variance:
        return ImprovedDDPM(shape, net, betas, target, classes, levels if is_image(shape) else None)
    return DDPM(shape, net, betas, target, classes)
