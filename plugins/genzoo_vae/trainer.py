"""Maximisation of a lower bound."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import LowerBound
from genzoo.protocols import Batch


class BoundedModule(Protocol):
    """A network with a lower bound."""

    def log_bound(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class ELBO:
    """Adam on -E[log_bound(x)] in nats per dimension: the evidence lower bound of any model that has one.

    Reference: Auto-Encoding Variational Bayes (Kingma and Welling, 2014), equation 3.

    Args:
        lr: Learning rate.
    """

    lr: float = 2e-3
    needs: ClassVar[tuple[type, ...]] = (LowerBound,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def losses(self, model: LowerBound, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        x = next(batches).x
        yield "model", -model.log_bound(x).mean() / x[0].numel()
