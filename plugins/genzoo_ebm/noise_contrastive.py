"""Noise-contrastive estimation."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import Decoder, Density, Energy, as_energy, labelled, offers, supports
from genzoo.images import is_image
from genzoo.protocols import Batch
from genzoo_ebm.gaussian import Gaussian
from genzoo_ebm.walks import fit_base


class Normaliser(nn.Module):
    """The logarithm of the partition function, learnt as a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.log_z = nn.Parameter(torch.zeros(()))


@dataclass(kw_only=True)
class NoiseContrastive:
    """Tell data from draws of a reference density p_0 by the ratio of the model's density to it, without walks.

    With log r(x) = -E(x) - log Z - log p_0(x) - log k and k draws y for every example x:
    L = E[softplus(-log r(x))] + k E[softplus(log r(y))]. Its minimum is the density of the data, normaliser included.
    Integer levels have none: images get uniform noise of one level's width.

    Reference: Noise-Contrastive Estimation: A New Estimation Principle for Unnormalized Statistical Models (Gutmann
    and Hyvarinen, 2010).

    Args:
        lr: Learning rate.
        reference: p_0, a trained model that has a density and can be drawn from; by default a Gaussian fitted to the
            first batch.
        noise_ratio: k.
        levels: Grey levels of the images.
    """

    lr: PositiveFloat = 2e-3
    reference: Density | None = None
    noise_ratio: PositiveInt = 1
    levels: int | None = None
    needs: ClassVar[tuple[type, ...]] = (Energy,)
    normaliser: Normaliser = field(default_factory=Normaliser, init=False, repr=False)
    gaussian: Gaussian | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.reference is not None and not supports(self.reference, (Decoder,)):
            have = ", ".join(offers(self.reference)) or "nothing"
            raise ValueError(f"the reference offers {have}: it needs Density and Decoder, to be drawn from; try a flow")

    def networks(self) -> nn.Module:
        """The normaliser."""
        return self.normaliser

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the model and its normaliser."""
        parameters = [*model.parameters(), self.normaliser.log_z]
        return {"model": Adam(parameters, lr=self.lr, betas=(0.9, 0.99), fused=True)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Fit the model's Gaussian, and the reference's, to the first batch; log Z begins where ratios are 1."""
        fit_base(model, batch.x)
        if self.reference is None:
            self.gaussian = Gaussian(tuple(batch.x.shape[1:])).to(batch.x.device)
            self.gaussian.fit(self._dequantised(batch.x))
        with torch.no_grad():
            y, log_prob = self._draw(len(batch.x), batch.x)
            self.normaliser.log_z.copy_((-as_energy(model).energy(y) - log_prob).mean())

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch, k = next(batches), self.noise_ratio
        x, n = self._dequantised(batch.x), len(batch)
        y, log_prob = self._draw(k * n, x)
        given = labelled(model, None if batch.y is None else batch.y.repeat(1 + k))
        log_prob = torch.cat([self._density(x), log_prob])
        log_ratio = -as_energy(given).energy(torch.cat([x, y])) - self.normaliser.log_z - log_prob
        logits = log_ratio - torch.tensor(float(k)).log()
        yield "model", F.softplus(-logits[:n]).mean() + k * F.softplus(logits[n:]).mean()

    @property
    def _reference(self) -> Any:
        return self.reference if self.reference is not None else self.gaussian

    @torch.no_grad()
    def _density(self, x: Tensor) -> Tensor:
        return self._reference.log_prob(x)

    @torch.no_grad()
    def _draw(self, n: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """n draws y of the reference, and log p_0(y)."""
        y = self._reference.decode(torch.randn(n, *self._reference.latent_shape, device=like.device))
        return y, self._reference.log_prob(y)

    def _dequantised(self, x: Tensor) -> Tensor:
        if self.levels is None or not is_image(tuple(x.shape[1:])):
            return x
        return x + (torch.rand_like(x) - 0.5) * 2 / (self.levels - 1)

    def state_dict(self) -> dict[str, Tensor]:
        """The Gaussian, if that is the reference."""
        return {} if self.gaussian is None else self.gaussian.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with a saved Gaussian."""
        if self.gaussian is not None:
            self.gaussian.load_state_dict(state)
