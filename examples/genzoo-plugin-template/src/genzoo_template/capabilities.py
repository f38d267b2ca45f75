"""What a mixture can do that GenZoo has no name for: a plugin may define capabilities of its own."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor


@runtime_checkable
class Components(Protocol):
    """p(x) = sum_i w_i p_i(x), with parts that can be weighed and drawn from."""

    @property
    @abstractmethod
    def weights(self) -> Tensor:
        """w, [k]."""

    @abstractmethod
    def log_joint(self, x: Tensor) -> Tensor:
        """log w_i p_i(x), [n, k], in nats."""

    @abstractmethod
    def draw(self, labels: Tensor, generator: Generator) -> Tensor:
        """x ~ p_i of each row's label i: [n] to [n, *shape]."""
