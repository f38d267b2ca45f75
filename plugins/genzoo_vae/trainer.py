"""Maximisation of a lower bound: the evidence itself, its two terms weighed, or the tighter one of many draws."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from genzoo.capabilities import ImportanceWeighted, LowerBound, labelled
from genzoo.protocols import Batch
from genzoo_vae.protocols import Evidence


@dataclass(frozen=True, kw_only=True)
class ELBO:
    """AdamW on -E[log_bound(x)] in nats per dimension: the evidence lower bound of any model that has one.

    With ``beta`` or ``free_bits``, of a model whose terms are known apart, on
    -E[log p(x | z)] + beta sum_g max(free_bits, E[KL_g]) over its groups of latents g, E over the batch.

    References: Auto-Encoding Variational Bayes (Kingma and Welling, 2014), equation 3; beta-VAE (Higgins et al., 2017);
    Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), equation 15, for free bits.

    Args:
        lr: Learning rate.
        weight_decay: Decoupled (AdamW's), per unit of learning rate. A thousand images seen a thousand times need much:
            without, the decoder learns them by heart and the bound of unseen ones falls below that of a coin.
        beta: The price of a nat of the latents; at 1 it is the bound.
        free_bits: Nats that each group of latents (a dimension, a layer's channel) may carry for nothing.
    """

    lr: PositiveFloat = 2e-3
    weight_decay: NonNegativeFloat = 0.01
    beta: NonNegativeFloat = 1.0
    free_bits: NonNegativeFloat = 0.0
    low_precision: ClassVar[bool] = True

    @property
    def needs(self) -> tuple[type, ...]:
        """A bound; its two terms where they are weighed."""
        return (Evidence,) if self._weighs else (LowerBound,)

    @property
    def _weighs(self) -> bool:
        return self.beta != 1 or self.free_bits > 0

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One AdamW for the whole model."""
        return _adamw(model, self.lr, self.weight_decay)

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        model = labelled(model, batch.y)
        loss = self._weighed(model, batch.x) if self._weighs else -model.log_bound(batch.x).mean()
        yield "model", loss / batch.x[0].numel()

    def _weighed(self, model: Evidence, x: Tensor) -> Tensor:
        log_likelihood, kls = model.terms(x)
        return self.beta * kls.mean(0).clamp(min=self.free_bits).sum() - log_likelihood.mean()


@dataclass(frozen=True, kw_only=True)
class IWAE:
    """AdamW on -E[log 1/k sum_i w_i] in nats per dimension: the bound that rises to log p(x) with k draws.

    A training step costs k passes through the decoder.

    Reference: Importance Weighted Autoencoders (Burda et al., 2016), equation 8.

    Args:
        lr: Learning rate.
        weight_decay: Decoupled (AdamW's), per unit of learning rate.
        k: Draws of the latent for each example; with one it is the evidence lower bound.
    """

    lr: PositiveFloat = 2e-3
    weight_decay: NonNegativeFloat = 0.01
    k: PositiveInt = 5
    needs: ClassVar[tuple[type, ...]] = (ImportanceWeighted,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One AdamW for the whole model."""
        return _adamw(model, self.lr, self.weight_decay)

    def losses(self, model: ImportanceWeighted, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        log_weights = labelled(model, batch.y).log_weights(batch.x, self.k)
        log_mean = log_weights.logsumexp(0) - math.log(self.k)
        yield "model", -log_mean.mean() / batch.x[0].numel()


def _adamw(model: nn.Module, lr: float, weight_decay: float) -> dict[str, Optimizer]:
    return {"model": AdamW(model.parameters(), lr=lr, weight_decay=weight_decay, fused=True)}
