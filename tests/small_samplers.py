"""A net and samplers of few states for tests: their every call is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import Decoder


class Net(nn.Module, Decoder):
    """z -> relu(W z) with a net for the way back that sampling never calls."""

    shape = latent_shape = (2,)
    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = nn.Linear(2, 2, bias=False), nn.Linear(2, 100)
        self.temperature = nn.Parameter(torch.ones(()))

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def given(self, labels: Tensor) -> "Net":
        return self


@dataclass(frozen=True)
class Twice:
    """Two states: the decoded noise, and that decoded again."""

    needs: ClassVar[tuple[type, ...]] = (Decoder,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        x = model.decode(torch.randn((n, 2), generator=generator))
        yield x
        yield model.decode(x)


@dataclass(frozen=True)
class Walk:
    """As many states, one call each."""

    length: int
    needs: ClassVar[tuple[type, ...]] = (Decoder,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        x = torch.randn((n, 2), generator=generator)
        for _ in range(self.length):
            x = model.decode(x)
            yield x


@dataclass(frozen=True)
class Broken:
    """Finite but for every third row."""

    needs: ClassVar[tuple[type, ...]] = ()

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        x = torch.randn((n, 2), generator=generator)
        x[::3, 1] = torch.tensor([float("nan"), float("inf")]).repeat(n)[: len(x[::3])]
        yield x


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()
