"""Models that are their training data: a kernel density, and what gives the examples back."""

import math
from typing import ClassVar

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Decoder, Density
from genzoo.images import is_image
from genzoo_reference.fitting import place, variance_of_a_level

SAME = 1e-8
"""Squared distance below which two examples are one: far below that of images one level apart."""
LEFT_OUT = 1000
"""How many examples are left out, one by one, to choose a bandwidth."""
AT_ONCE = 1 << 23


def square_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2, [n, m], of x [n, d] and y [m, d]; both are moved to the mean of y, which saves digits."""
    centre = y.detach().mean(0)
    x, y = x - centre, y - centre
    with torch.autocast(x.device.type, enabled=False):  # digits of bfloat16 would not survive the difference
        return ((x**2).sum(1, keepdim=True) + (y**2).sum(1) - 2 * x @ y.T).clamp(min=0)


@torch.no_grad()
def leave_one_out(x: Tensor, *, blur: float = 0.0, tolerance: float = 1e-5, most: int = 500) -> float:
    """The bandwidth h that makes prod_i p_{-i}(x_i) largest, of examples x [n, d].

    p_{-i} is the kernel density of all examples but i and its copies. EM: with the share r_ij of kernel j in x_i,
    h^2 = sum_ij r_ij |x_i - x_j|^2 / (n d), again and again; the likelihood never falls. At most 1,000 examples are
    left out, the kernels are those of all. ``blur`` is the variance of what dequantises each coordinate.

    Reference: On the Choice of Smoothing Parameters for Parzen Estimators of Probability Density Functions (Duin,
    1976).
    """
    x = x.double()
    squares = square_distances(x[:LEFT_OUT], x)
    squares[squares < SAME] = math.inf
    squares = squares[squares.isfinite().any(1)]
    if not len(squares):
        return 1.0
    variance = squares.amin(1).mean().item() / x.shape[1] + blur
    for _ in range(most):
        shares = torch.softmax(-squares / (2 * variance), 1)
        before, variance = variance, (shares * squares.nan_to_num(posinf=0.0)).sum(1).mean().item() / x.shape[1] + blur
        if abs(variance - before) <= tolerance * before:
            break
    return math.sqrt(variance)


class Examples(nn.Module):
    """``rows`` training examples, [rows, dimension]: parameters, because a model that keeps them needs them."""

    def __init__(self, shape: tuple[int, ...], memory: int | None, num_examples: int | None) -> None:
        super().__init__()
        most = memory or (10_000 if is_image(shape) else 4_000)
        self.shape = shape
        self.rows = nn.Parameter(torch.zeros(min(most, num_examples or most), math.prod(shape)))

    @torch.no_grad()
    def store(self, x: Tensor) -> None:
        """Keep the first of x [n, *shape], again from the start if they are too few."""
        chosen = torch.arange(len(self.rows), device=x.device) % len(x)
        self.rows.copy_(x.flatten(1)[chosen])

    def at(self, z: Tensor) -> Tensor:
        """The example that z [n, 1], a standard normal, falls on; each is as likely as any other: [n, *shape]."""
        even = self.rows.new_ones(len(self.rows))
        return self.rows[place(z.flatten(), even)].unflatten(1, self.shape)


class Copycat(nn.Module, Decoder):
    """Gives back training examples, as they are or with a little noise: the best of all models, and none at all.

    x = x_i + jitter * noise, i any of the training examples that are kept. Metrics of memorisation have to find it out.

    Args:
        shape: Of one example.
        memory: How many training examples are kept at most; 10,000 images or 4,000 points by default.
        jitter: Standard deviation of the noise, in units of x; 0 gives exact copies.
        num_examples: Of the data set: no more are kept.
    """

    trainer: ClassVar[str] = "closed-form"
    latent_shape: tuple[int, ...] = (1,)
    fitted: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        memory: PositiveInt | None = None,
        jitter: NonNegativeFloat = 0.0,
        num_examples: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.jitter = shape, jitter
        self.sampler = "ancestral" if jitter else "decode"
        self.examples = Examples(shape, memory, num_examples)
        self.register_buffer("fitted", torch.tensor(False))

    def decode(self, z: Tensor) -> Tensor:
        """A training example, [n, *shape]."""
        return self.examples.at(z)

    def observe(self, z: Tensor, generator: Generator) -> Tensor:
        """The same with noise, [n, *shape]."""
        x = self.decode(z)
        return x + self.jitter * torch.randn(x.shape, generator=generator, device=x.device)

    def fit(self, x: Tensor, labels: Tensor | None) -> None:
        """Learn the examples by heart."""
        self.examples.store(x)
        self.fitted.fill_(True)

    def misfit(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The mean squared distance to the nearest example, a dimension."""
        return square_distances(x.flatten(1), self.examples.rows).amin(1).mean() / x[0].numel()


class KDE(nn.Module, Density, Decoder):
    """p(x) = 1/m sum_i N(x; x_i, h^2 I), over training examples x_i: the Parzen window.

    ``decode`` gives an example, ``observe`` a draw from p: the example and noise of the bandwidth h, which is the one
    that makes the leave-one-out likelihood largest unless it is given.

    Reference: On Estimation of a Probability Density Function and Mode (Parzen, 1962).

    Args:
        shape: Of one example.
        memory: How many training examples are kept at most; 10,000 images or 4,000 points by default.
        bandwidth: h, in units of x; None for the best by leave-one-out.
        levels: Grey levels of the data; None for continuous data.
        num_examples: Of the data set: no more are kept.
    """

    trainer: ClassVar[str] = "closed-form"
    sampler: ClassVar[str] = "ancestral"
    latent_shape: tuple[int, ...] = (1,)
    fitted: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        memory: PositiveInt | None = None,
        bandwidth: PositiveFloat | None = None,
        levels: int | None = None,
        num_examples: PositiveInt | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.bandwidth, self.blur = shape, bandwidth, variance_of_a_level(levels)
        self.examples = Examples(shape, memory, num_examples)
        self.log_bandwidth = nn.Parameter(torch.tensor(math.log(bandwidth or 1.0)))
        self.register_buffer("fitted", torch.tensor(False))

    def initialize(self, x: Tensor) -> None:
        """Kernels at the examples x [n, *shape], for a trainer that moves them."""
        self.examples.store(x)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), [n], in nats."""
        kernels = self.examples.rows
        parts = x.flatten(1).split(max(1, AT_ONCE // len(kernels)))
        precision = torch.exp(-2 * self.log_bandwidth)
        logs = torch.cat([torch.logsumexp(-0.5 * precision * square_distances(part, kernels), 1) for part in parts])
        log_volume = self.log_bandwidth + 0.5 * math.log(2 * math.pi)
        return logs - math.log(len(kernels)) - kernels.shape[1] * log_volume

    def decode(self, z: Tensor) -> Tensor:
        """A training example, [n, *shape]."""
        return self.examples.at(z)

    def observe(self, z: Tensor, generator: Generator) -> Tensor:
        """x ~ p: a training example with noise, [n, *shape]."""
        x = self.decode(z)
        return x + self.log_bandwidth.exp() * torch.randn(x.shape, generator=generator, device=x.device)

    @torch.no_grad()
    def fit(self, x: Tensor, labels: Tensor | None) -> None:
        """Keep the examples and choose the bandwidth."""
        self.examples.store(x)
        if self.bandwidth is None:
            self.log_bandwidth.fill_(math.log(leave_one_out(self.examples.rows, blur=self.blur)))
        self.fitted.fill_(True)

    def misfit(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """-log p(x) a dimension, in nats; an example that is kept is among its own kernels."""
        return -self.log_prob(x).mean() / x[0].numel()
