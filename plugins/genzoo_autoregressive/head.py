"""The numbers of one position, one after the other."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from genzoo_autoregressive.distributions import Distribution
from genzoo_autoregressive.positions import seen


class Head(nn.Module):
    """P(x_1, ..., x_k | features): the distribution of x_i by a small network of the features and x_1 ... x_{i-1}.

    One hidden layer of ``hidden`` units for each number sees those before it, by a mask over its weights; the layers
    after it are the same for all. In training all numbers are predicted at once.

    Reference: MADE (Germain et al., 2015), for masks that make a network autoregressive.

    Args:
        features: Numbers that a position is described by.
        numbers: k, of a position.
        hidden: Units for each number.
        distribution: Of one number.
    """

    mask: Tensor

    def __init__(self, features: int, numbers: int, hidden: int, distribution: Distribution) -> None:
        super().__init__()
        self.numbers, self.distribution = numbers, distribution
        self.from_features = nn.Linear(features, numbers * hidden)
        self.from_numbers = nn.Linear(2 * numbers, numbers * hidden, bias=False)
        self.middle = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, distribution.width)
        order = torch.arange(numbers)
        mask = order.repeat_interleave(hidden)[:, None] > order.repeat(2)
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.copy_(distribution.start())

    def log_prob(self, features: Tensor, x: Tensor) -> Tensor:
        """log P, [...], of features [..., features] and x [..., numbers]; the distributions are in float32."""
        return self.distribution.log_prob(self.described(features, x), x).sum(-1)

    def described(self, features: Tensor, x: Tensor) -> Tensor:
        """The parameters of the distribution of each number, [..., numbers, parameters], given those before it."""
        hidden = self.from_features(features) + F.linear(seen(x, -1), self._masked())
        return self._described(hidden.unflatten(-1, (self.numbers, -1)))

    def sample(self, features: Tensor, generator: Generator, temperature: float = 1.0) -> Tensor:
        """Draws [n, numbers], of features [n, features]."""
        hidden = self.from_features(features).unflatten(-1, (self.numbers, -1))
        weight = self._masked().unflatten(0, (self.numbers, -1))
        x = torch.zeros(len(features), self.numbers, device=features.device)
        for i in range(self.numbers):
            parameters = self._described(hidden[:, i] + F.linear(seen(x, -1), weight[i]))
            x[:, i] = self.distribution.sample(parameters, generator, temperature)
        return x

    def _masked(self) -> Tensor:
        return self.from_numbers.weight * self.mask

    def _described(self, hidden: Tensor) -> Tensor:
        hidden = F.silu(hidden)
        hidden = hidden + F.silu(self.middle(hidden))
        with torch.autocast(hidden.device.type, enabled=False):
            return self.last(hidden.to(self.last.weight.dtype))
