"""A classifier of noisy data, which guides a diffusion model to a class."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn
from torch.optim import Optimizer

from genzoo.capabilities import NoisyClassifier, expand, known_classes
from genzoo.images import is_image
from genzoo.nets import encoder
from genzoo.protocols import Batch
from genzoo_diffusion.drawn import adam, evenly
from genzoo_diffusion.schedules import noise_range


class Classifier(nn.Module, NoisyClassifier):
    """log p(y | x; sigma) of data plus sigma times noise, from a small encoder.

    It sees x / sqrt(1 + sigma^2), and log sigma as one more channel.

    Reference: Diffusion Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), section 4.

    Args:
        shape: Of one example.
        width: Channels of the first stage (images), or half of the hidden units (points).
        sigma_min: Least noise.
        sigma_max: Most noise.
        num_classes: Classes of the data.

    Raises:
        ValueError: no range of noise; data without classes.
    """

    trainer: ClassVar[str] = "noisy-classification"
    sampler: ClassVar[str] = ""

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Annotated[int, Field(ge=8, multiple_of=8)] = 64,
        sigma_min: PositiveFloat = 0.002,
        sigma_max: PositiveFloat = 80.0,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.num_classes = shape, known_classes(num_classes, by="a classifier")
        self.sigma_min, self.sigma_max = noise_range(sigma_min, sigma_max)
        self.net = encoder((shape[0] + 1, *shape[1:]), self.num_classes, width if is_image(shape) else 2 * width)

    def log_class_probs(self, x: Tensor, sigma: Tensor) -> Tensor:
        """log p(y | x; sigma), [n, num_classes] float32; sigma [] or [n]."""
        sigma = sigma.to(x.device).float().expand(len(x))
        level = expand(0.25 * sigma.log(), x.float()).expand_as(x[:, :1])
        scaled = x.float() / expand(torch.sqrt(1 + sigma**2), x.float())
        return self.net(torch.cat([scaled, level], dim=1)).float().log_softmax(1)


@dataclass(frozen=True, kw_only=True)
class NoisyClassification:
    """-log p(y | x + sigma z; sigma) with log sigma uniform over the model's range.

    Reference: Diffusion Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), section 4.

    Args:
        lr: Learning rate.
    """

    lr: PositiveFloat = 1e-3
    needs: ClassVar[tuple[type, ...]] = (NoisyClassifier,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return adam(model, self.lr)

    def losses(self, model: NoisyClassifier, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch.

        Raises:
            ValueError: data without classes.
        """
        batch = next(batches)
        if batch.y is None:
            raise ValueError("noisy-classification needs data with classes; choose data that have labels")
        low, high = math.log(model.sigma_min), math.log(model.sigma_max)
        sigma = (low + (high - low) * evenly(len(batch), batch.x.device)).exp()
        noisy = batch.x + expand(sigma, batch.x) * torch.randn_like(batch.x)
        yield "model", F.nll_loss(model.log_class_probs(noisy, sigma), batch.y)
