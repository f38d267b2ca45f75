"""Maximum likelihood of levels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from genzoo.capabilities import Mass, labelled
from genzoo.protocols import Batch


@dataclass(frozen=True, kw_only=True)
class DiscreteLikelihood:
    """AdamW on -E[log P(x)] in nats per dimension: the exact likelihood of images on their levels.

    Args:
        lr: Learning rate.
        beta2: Of the second moment.
        weight_decay: Decoupled (AdamW's), per unit of learning rate.
        label_dropout: How often a conditional model is not told the label.
    """

    lr: PositiveFloat = 2e-3
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.99
    weight_decay: NonNegativeFloat = 0.01
    label_dropout: Annotated[float, Field(ge=0, le=1)] = 0.1
    needs: ClassVar[tuple[type, ...]] = (Mass,)
    low_precision: ClassVar[bool] = True

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One AdamW for the whole model."""
        betas = (0.9, self.beta2)
        return {"model": AdamW(model.parameters(), lr=self.lr, betas=betas, weight_decay=self.weight_decay, fused=True)}

    def losses(self, model: Mass, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a batch."""
        batch = next(batches)
        model = labelled(model, batch.y, self.label_dropout)
        yield "model", -model.log_mass(batch.x).mean() / batch.x[0].numel()
