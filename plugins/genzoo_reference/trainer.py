"""A fit that looks at the training data as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from genzoo.processes import follow_the_first, of_all
from genzoo.protocols import Batch
from genzoo_reference.fitting import Fittable

UNKNOWN = 10_000
"""How many examples are looked at where nobody says how many there are."""


@dataclass(frozen=True, kw_only=True)
class ClosedForm:
    """Each step looks at as many examples as there are and sets the parameters to what they say.

    The first look sees each once; later ones begin in the middle of an epoch, and may see some twice and as few not at
    all. Several processes look at the same, and keep what the first makes of it.

    That is all of a Gaussian's fit, and one iteration of EM of a mixture's; ``1steps`` is budget enough for the former.
    Once a model calls itself fitted a step only tells the loss of a batch. So does the end of every other step: the
    gradient of that loss is not followed (the learning rate is 0), and moves nothing.

    Reference: Maximum Likelihood from Incomplete Data via the EM Algorithm (Dempster et al., 1977).

    Args:
        num_examples: How many make a look at the data: all of the data set, where that is known, else 10,000.
    """

    num_examples: PositiveInt | None = None
    needs: ClassVar[tuple[type, ...]] = (Fittable,)

    def optimizers(self, model: nn.Module) -> dict[str, Optimizer]:
        """One that leaves the parameters where they are."""
        return {"fit": SGD(model.parameters(), lr=0.0)}

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """One loss a step, per dimension: what the model makes small, of one more batch."""
        if not model.fitted:
            model.fit(*look(batches, self.num_examples or UNKNOWN))
            follow_the_first(model)
        batch = next(batches)
        yield "fit", model.misfit(batch.x, batch.y)


def look(batches: Iterator[Batch], n: int) -> tuple[Tensor, Tensor | None]:
    """The next ``n`` examples [n, *shape] of all processes, and their labels; what is left of a batch is left out."""
    batches = (Batch(of_all(batch.x), None if batch.y is None else of_all(batch.y)) for batch in batches)
    first = next(batches)
    x, count, labels = first.x.new_empty(n, *first.x.shape[1:]), 0, []
    for batch in _and_then(first, batches):
        rows = min(len(batch), n - count)
        x[count : count + rows] = batch.x[:rows]
        labels.append(batch.y[:rows] if batch.y is not None else None)
        count += rows
        if count == n:
            break
    known = [part for part in labels if part is not None]
    return x, torch.cat(known) if len(known) == len(labels) else None


def _and_then(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    yield first
    yield from rest
