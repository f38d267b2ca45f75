"""The plugin contract: what a model, a trainer, a sampler, an extractor and a metric are. Only shapes of code.

A model is what it can compute, a trainer is a generator of losses, a sampler is an iterator of states. The host owns
everything else: devices, the loop, seeds, EMA, checkpoints, features, metrics, records, reports.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Generator, Tensor
from torch.optim import Optimizer


@dataclass(frozen=True)
class Batch:
    """Training examples: ``x`` [n, *shape], images in [-1, 1] or points at unit scale; ``y`` [n] classes or None."""

    x: Tensor
    y: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


@runtime_checkable
class Model(Protocol):
    """An ``nn.Module`` that offers at least one capability of :mod:`genzoo.capabilities`.

    ``trainer`` and ``sampler`` are the names used when none is asked for.
    """

    shape: tuple[int, ...]
    trainer: str
    sampler: str


@runtime_checkable
class Trainer(Protocol):
    """Turns batches into losses; the host steps the optimizers.

    ``losses`` is ONE training step, written as a generator: it pulls the batches it wants and yields
    ``(optimizer's name, scalar loss)``; the host back-propagates that loss, steps that optimizer and resumes the
    generator. A VAE yields once; a GAN its critic and then its generator; a WGAN pulls a fresh batch for each of
    five critic losses. Checkpoints fall between two steps, so resuming is exact by construction. Never hold
    ``no_grad`` or ``autocast`` across a ``yield``.

    Optional members, looked up by name:

    * ``low_precision: ClassVar[bool]``: the losses' arithmetic stands bfloat16 (absent means no);
    * ``initialize(model, batch)``: data-dependent initialisation, called once with a whole batch of data, the same on
      every process;
    * ``state_dict()`` / ``load_state_dict(state)``: tensors (such as a replay buffer) saved with the checkpoint;
    * ``networks()``: an ``nn.Module`` of auxiliary networks that the trainer owns; saved, and counted as parameters.
    """

    needs: ClassVar[tuple[type, ...]]

    def optimizers(self, model: Any) -> Mapping[str, Optimizer]:
        """The optimizers by name; their learning rates are what the host's schedule multiplies."""

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        """The losses of one step."""


@runtime_checkable
class Sampler(Protocol):
    """A frozen dataclass of its settings whose ``steps`` yields every state; the last one is the sample.

    All randomness comes from ``generator``; the global random state is never touched. Optional members, looked up by
    name:

    * ``low_precision: ClassVar[bool]``: the network's calls may run in bfloat16 (absent means no);
    * ``expected_std(model, std)``: what the algorithm makes of N(mean, std^2) where it is biased, so that the
      conformance kit can hold it to its own formula.
    """

    needs: ClassVar[tuple[type, ...]]

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        """States [n, *shape], in order."""


@runtime_checkable
class Extractor(Protocol):
    """An ``nn.Module`` that turns images into features, always in eval mode, in float32, without autocast.

    ``sha256`` names its weights: two extractors with one hash give the same features. ``batch_size`` is how many
    images it is given at once. Optional member, looked up by name: ``logits(features)``, the classes [n, num_classes]
    that it sees.
    """

    sha256: str
    batch_size: int

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        """Raise :class:`~genzoo.errors.InvalidSamples` unless it takes images of (channels, height, width)."""

    def features(self, images: Tensor) -> Tensor:
        """[n, d] float32 of uint8 images [n, c, h, w]."""


@dataclass(frozen=True)
class ImageSet:
    """One side of a comparison: uint8 ``images`` [n, h, w, c], ``features`` [n, d] float32, ``logits`` or None.

    ``labels`` [n] are the classes of real images, and those that were asked for of generated ones, where there are any.
    """

    images: Tensor
    features: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Comparison:
    """What a metric is given: as many generated as real images, the training images if known, and a seed."""

    generated: ImageSet
    real: ImageSet
    train: ImageSet | None = None
    seed: int = 0


class Measurement(NamedTuple):
    """What a metric finds: a number, which end is better, how it was made; its standard error, and what a perfect
    model would score, where they are known.
    """

    value: float
    better: Literal["lower", "higher"]
    how: str
    se: float | None = None
    expected: float | None = None


@runtime_checkable
class Metric(Protocol):
    """A number about images, computed from one :class:`Comparison`, which it leaves as it is.

    All randomness comes from the comparison's seed; a metric that draws states its standard error.
    """

    def __call__(self, comparison: Comparison) -> Measurement:
        """The measurement; raises :class:`~genzoo.errors.InvalidSamples` where there is none."""
