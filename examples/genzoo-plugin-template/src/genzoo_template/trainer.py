"""The trainer: a generator of losses. The host back-propagates each, steps its optimizer and goes on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.protocols import Batch
from genzoo_template.capabilities import Components


@dataclass(frozen=True, kw_only=True)
class EM:
    """Expectation maximisation with a gradient step as its M-step.

    E: r_i = p(i | x), held fixed. M: one step down -E[sum_i r_i log w_i p_i(x)], whose gradient at the present
    parameters is that of -E[log p(x)] (Fisher's identity).

    Reference: Maximum Likelihood from Incomplete Data via the EM Algorithm (Dempster et al., 1977).

    Args:
        lr: Learning rate.
    """

    lr: float = 1e-2
    needs: ClassVar[tuple[type, ...]] = (Components,)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One Adam for the whole model."""
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def initialize(self, model: Any, batch: Batch) -> None:
        """Called once, with the first batch: begin where the data is."""
        if hasattr(model, "initialize"):
            model.initialize(batch.x)

    def losses(self, model: Components, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch, in nats per dimension."""
        x = next(batches).x
        log_joint = model.log_joint(x)
        responsibilities = log_joint.detach().softmax(1)
        yield "model", -(responsibilities * log_joint).sum(1).mean() / x[0].numel()
