"""Maximisation of a lower bound."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from genzoo.capabilities import LowerBound
from genzoo.protocols import Batch


@dataclass(frozen=True, kw_only=True)
class ELBO:
    """AdamW on -E[log_bound(x)] in nats per dimension: the evidence lower bound of any model that has one.

    Reference: Auto-Encoding Variational Bayes (Kingma and Welling, 2014), equation 3.

    Args:
        lr: Learning rate.
        weight_decay: Decoupled (AdamW's), per unit of learning rate. A thousand images seen a thousand times need much:
            without, the decoder learns them by heart and the bound of unseen ones falls below that of a coin.
    """

    lr: PositiveFloat = 2e-3
    weight_decay: NonNegativeFloat = 0.01
    needs: ClassVar[tuple[type, ...]] = (LowerBound,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One AdamW for the whole model."""
        return {"model": AdamW(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)}

    def losses(self, model: LowerBound, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        x = next(batches).x
        yield "model", -model.log_bound(x).mean() / x[0].numel()
