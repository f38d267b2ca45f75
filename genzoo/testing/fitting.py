"""A plain training loop, no more than the trainer's contract: what the trainers' checks run."""

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from genzoo.protocols import Batch
from genzoo.testing.cases import NUM_CLASSES, POINTS, build, examples, expect, facts
from genzoo.testing.reference import GaussianReference

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

TARGET = GaussianReference(torch.tensor([0.5, -0.3]), 0.5**2)
STEPS, BATCH_SIZE = 400, 128


class Batches:
    """An endless iterator whose whole state is the number of batches drawn: batch k depends on k alone."""

    def __init__(self, batch: Callable[[int], Batch]) -> None:
        self._batch, self.drawn = batch, 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self.drawn += 1
        return self._batch(self.drawn - 1)

    def moved_on(self, by: int) -> "Batches":
        """The same examples, every class the one ``by`` further on."""
        given = self._batch
        return Batches(lambda number: _moved_on(given(number), by))


def _moved_on(batch: Batch, by: int) -> Batch:
    return batch if batch.y is None else Batch(batch.x, (batch.y + by) % NUM_CLASSES)


def target_batch(number: int, n: int = BATCH_SIZE) -> Batch:
    """Draws from the known target."""
    x = TARGET.sample(n, torch.Generator().manual_seed(number))
    return Batch(x, torch.arange(n) % NUM_CLASSES)


def noise_batches(shape: tuple[int, ...]) -> Batches:
    """Batches without structure: points from N(0, 1), images of random grey levels."""
    n = BATCH_SIZE if shape == POINTS else 16
    return Batches(lambda number: Batch(examples(shape, n, number), torch.arange(n) % NUM_CLASSES))


class Training:
    """One training in progress, by the contract alone: no clipping and no averaging of weights.

    Data-dependent initialisation gets the ``first`` batch, which should not be what is to be learned.
    """

    def __init__(self, model: Any, trainer: Any, batches: Batches, first: Batch) -> None:
        self.model, self.trainer, self.batches = model.train(), trainer, batches
        if hasattr(trainer, "initialize"):
            trainer.initialize(model, first)
        self.optimizers = dict(trainer.optimizers(model))

    def step(self) -> dict[str, Tensor]:
        """One run of the trainer's losses; returns the last loss of each name."""
        losses = {}
        for name, loss in self.trainer.losses(self.model, self.batches):
            losses[name] = loss.detach()
            self.optimizers[name].zero_grad(set_to_none=True)
            loss.backward()
            self.optimizers[name].step()
        return losses

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds of the model, the trainer and its networks, by dotted name."""
        parts = {"model": self.model, **self._stateful()}
        return {f"{part}.{key}": value for part, owner in parts.items() for key, value in owner.state_dict().items()}

    def checkpoint(self) -> dict[str, Any]:
        """Everything the next step may depend on; the tensors as safetensors bytes."""
        return {
            "tensors": to_safetensors(self.tensors()),
            "optimizers": {name: copy.deepcopy(o.state_dict()) for name, o in self.optimizers.items()},
            "drawn": self.batches.drawn,
            "random": torch.get_rng_state(),
        }

    def resume(self, checkpoint: dict[str, Any]) -> None:
        """The inverse of :meth:`checkpoint`."""
        tensors = safetensors.torch.load(checkpoint["tensors"])
        for part, owner in {"model": self.model, **self._stateful()}.items():
            prefix = f"{part}."
            owner.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(checkpoint["optimizers"][name])
        self.batches.drawn = checkpoint["drawn"]
        torch.set_rng_state(checkpoint["random"])

    def _stateful(self) -> dict[str, Any]:
        networks = self.trainer.networks() if hasattr(self.trainer, "networks") else None
        owners = {"trainer": self.trainer if hasattr(self.trainer, "state_dict") else None, "networks": networks}
        return {part: owner for part, owner in owners.items() if owner is not None}


def started(
    zoo: "Zoo",
    trainer: str,
    model: str,
    shape: tuple[int, ...],
    *,
    seed: int = 0,
    conditional: bool = False,
    batch_size: int = BATCH_SIZE,
) -> Training:
    """A training before its first step: points from the known target after points from N(0, 1); images of noise."""
    batches = Batches(partial(target_batch, n=batch_size)) if shape == POINTS else noise_batches(shape)
    built = build(zoo, model, shape, seed, conditional=conditional)
    return Training(built, zoo.trainer(trainer, {}, facts(shape)), batches, next(noise_batches(shape)))


def to_safetensors(tensors: dict[str, Tensor]) -> bytes:
    """The bytes of a safetensors file; whatever is no tensor is refused."""
    for name, value in tensors.items():
        expect(isinstance(value, Tensor), f"{name} of the state is a {type(value).__name__}: only tensors can be saved")
    return safetensors.torch.save({name: value.detach().clone().contiguous() for name, value in tensors.items()})


@lru_cache(maxsize=16)
def fitted(zoo: "Zoo", trainer: str, model: str) -> Any:
    """The model after 400 steps of 128 draws from N((0.5, -0.3), 0.5^2), in eval mode: trained once, asked often.

    Learning rates decay to zero as a cosine, as the host's do.
    """
    torch.manual_seed(0)
    training = started(zoo, trainer, model, POINTS)
    decays = [CosineAnnealingLR(optimizer, STEPS) for optimizer in training.optimizers.values()]
    for _ in range(STEPS):
        training.step()
        for decay in decays:
            decay.step()
    return training.model.eval().requires_grad_(False)
