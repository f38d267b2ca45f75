"""The energy-based model."""

import math
from typing import Any, ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Energy, Given, known_classes
from genzoo.images import is_image
from genzoo_ebm.gaussian import Gaussian
from genzoo_ebm.nets import trunk


class EBM(nn.Module, Energy):
    """p(x) proportional to exp(f(x) / T) q(x): a net tilts a Gaussian q fitted to the first batch.

    E(x) = -f(x) / T - log q(x), up to a constant. The Gaussian bounds the energy from below, so that no walk leaves
    for infinity, and is where walks start. Pixels are kept in [-1, 1]. ``base = "normal"`` is N(0, I), whatever the
    data, and lets walks leave the range of pixels. T is 1 until a trainer that walks says otherwise. A conditional
    one has a logit for each class, E(x, y) = -f_y(x) / T - log q(x), and without a label log sum_y exp(f_y(x) / T)
    in the place of f_y(x) / T.

    References: Implicit Generation and Modeling with Energy-Based Models (Du and Mordatch, 2019); Learning
    Energy-Based Models by Diffusion Recovery Likelihood (Gao et al., 2021) and A Tale of Two Flows (Xie et al., 2022)
    for the tilted form; Your Classifier is Secretly an Energy Based Model (Grathwohl et al., 2020) for the labels.

    Args:
        shape: Of one example.
        width: Hidden units (points) or channels of the first stage (images).
        base: What the net tilts.
        conditional: Whether it is told of classes.
        num_classes: How many there are.
    """

    trainer: ClassVar[str] = "contrastive-divergence"
    sampler: ClassVar[str] = "langevin"
    shift: Tensor
    step: Tensor
    temperature: Tensor
    num_steps: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: PositiveInt | None = None,
        base: Literal["gaussian", "normal"] = "gaussian",
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.fits = shape, base == "gaussian"
        self.candidates, self.reach = (1, 0.1) if is_image(shape) else (256, math.inf)
        if conditional:
            self.num_classes = known_classes(num_classes)
        self.net = trunk(shape, getattr(self, "num_classes", 1), width)
        self.base = Gaussian(shape, independent=not self.fits)
        step = 0.00025 if is_image(shape) else 0.002
        for name, value in {"shift": 0.0, "step": step, "temperature": 1.0, "num_steps": 300}.items():
            self.register_buffer(name, torch.tensor(value))

    def initialize(self, x: Tensor) -> None:
        """Fit q to a batch of data, unless it is N(0, I), and let f be 0 there on average."""
        if self.fits:
            self.base.fit(x)
        with torch.no_grad():
            self.shift.copy_(self.net(x).float().mean())

    def settle(self, *, step: float, temperature: float, num_steps: int) -> None:
        """The walk that the model is trained with and sampled with from then on: its step size, T and steps."""
        self.step.fill_(step)
        self.temperature.fill_(temperature)
        self.num_steps.fill_(num_steps)

    def energy(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        """E(x), or E(x, y), [n], in nats, up to a constant."""
        return -self.log_start(x) - self._tilt(x, labels)

    def _tilt(self, x: Tensor, labels: Tensor | None) -> Tensor:
        logits = (self.net(x).float() - self.shift) / self.temperature
        free = logits.logsumexp(1)
        if labels is None:
            return free
        known = labels < logits.shape[1]
        return torch.where(known, logits.gather(1, labels.where(known, 0)[:, None]).squeeze(1), free)

    def given(self, labels: Tensor) -> Given:
        """The model of p(x | y), one label a row; ``num_classes`` is no label."""
        return Given(self, labels)

    def start(self, n: int, generator: Generator) -> Tensor:
        """Where a walk begins: x ~ q, [n, *shape]."""
        return self.confine(self.base.draw(n, generator))

    def confine(self, x: Tensor) -> Tensor:
        """Pixels in [-1, 1], as all images have them, if q is fitted to images; points as they are."""
        return x.clamp(-1, 1) if self.fits and is_image(self.shape) else x

    def log_start(self, x: Tensor) -> Tensor:
        """log q(x), [n], up to a constant."""
        return -0.5 * self.base.encode(x).square().flatten(1).sum(1)


def flow_walk(shape: tuple[int, ...], temperature: float) -> dict[str, Any]:
    """A walk of 300 steps along a flow that is at the data at time 1: to time 1.2, and of images to time 2."""
    end = 2.0 if is_image(shape) else 1.2
    return {"step": 2 * temperature * end / 300, "temperature": temperature, "num_steps": 300}


class Potential(EBM):
    """E(x) = V(x) / T with V a potential that carries N(0, I) to the data: an :class:`EBM` with the base N(0, I).

    T is small, so that V alone says where to go. The flow -grad V is at the data at time 1, which 300 Langevin steps
    pass; of images, where a small remainder of noise still points the way, they pass time 2.

    Reference: Energy Matching: Unifying Flow Matching and Energy-Based Models for Generative Modeling (Balcerak et
    al., 2025).

    Args:
        shape: Of one example.
        width: Hidden units (points) or channels of the first stage (images).
        temperature: T, at which exp(-V / T) is the density of the data.
        conditional: Whether it is told of classes.
        num_classes: How many there are.
    """

    trainer: ClassVar[str] = "energy-matching"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: PositiveInt | None = None,
        temperature: PositiveFloat = 0.01,
        conditional: bool = False,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(shape, width=width, base="normal", conditional=conditional, num_classes=num_classes)
        self.candidates, self.reach = 1, math.inf
        self.settle(**flow_walk(shape, temperature))
