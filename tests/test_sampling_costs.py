"""What a sample costs: operations and memory, counted on the first states and true of them all."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from small import FAMILIES
from small_samplers import Broken, Net, Twice, Walk, net
from torch import Generator, Tensor, nn

from genzoo import sampling
from genzoo.capabilities import Decoder, Encoder, Score, as_score
from genzoo.flops import count_flops
from genzoo.sampling import draw, needed_parameters
from genzoo.testing import GaussianReference
from genzoo.zoo import Zoo

__all__ = ["net"]


ONE = 2 * 2 * 2
"""Of a product with a 2 by 2 matrix."""


@pytest.mark.parametrize("n", [1, 3, 40])
def test_operations_are_counted_for_each_sample(net: Net, n: int) -> None:
    assert draw(Twice(), net, n, seed=0, batch_size=30).flops_per_sample == 2 * ONE


def test_samples_and_calls_are_the_same_as_without_counting(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = draw(Walk(20), net, 50, seed=0, batch_size=20)
    monkeypatch.setattr(sampling, "_flops_per_sample", lambda *arguments: None)
    plain = draw(Walk(20), net, 50, seed=0, batch_size=20)
    assert torch.equal(counted.x, plain.x) and counted.calls_per_sample == plain.calls_per_sample == 20


def test_a_long_walk_is_counted_from_its_first_states(net: Net) -> None:
    seen: list[int] = []
    net.generator.register_forward_hook(lambda *_: seen.append(1))
    samples = draw(Walk(1000), net, 3, seed=0)
    assert samples.flops_per_sample == 1000 * ONE
    assert len(seen) == 1000 + sampling.ALIKE


def test_gradients_that_a_sampler_takes_are_counted() -> None:
    class Hill(nn.Module):
        shape = (2,)

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(2, 1)

        def energy(self, x: Tensor) -> Tensor:
            return self.net(x).squeeze(1).tanh()

    @dataclass(frozen=True)
    class Climb:
        needs: ClassVar[tuple[type, ...]] = (Score,)

        def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
            x = torch.randn((n, 2), generator=generator)
            for _ in range(30):
                x = x + as_score(model).score(x)
                yield x

    samples = draw(Climb(), Hill(), 3, seed=0)
    assert samples.calls_per_sample == 30 and samples.flops_per_sample == 30 * 2 * (2 * 2)


class Staged(Net):
    """A walk of one kind of call, and a costlier one of another kind at the end."""

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def encode(self, x: Tensor) -> Tensor:
        return self.critic(x)


@dataclass(frozen=True)
class Finishing(Walk):
    needs: ClassVar[tuple[type, ...]] = (Decoder, Encoder)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        x = torch.zeros(n, 2)
        for x in super().steps(model, n, generator):
            yield x
        yield model.encode(x)[:, :2]


def test_a_last_state_of_another_kind_is_counted_too() -> None:
    assert draw(Finishing(100), Staged(), 3, seed=0).flops_per_sample == 100 * ONE + 2 * 2 * 100


def test_steps_that_grow_are_counted_to_the_end() -> None:
    class Growing(Net):
        def decode(self, z: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) % 30 + 1
            for _ in range(self.calls):
                z = self.generator(z)
            return z

    assert draw(Walk(30), Growing(), 3, seed=0).flops_per_sample == 30 * 31 / 2 * ONE


def test_a_sampler_that_calls_no_network_does_no_operations() -> None:
    samples = draw(Broken(), GaussianReference(torch.zeros(2), 1.0), 7, seed=0)
    assert samples.flops_per_sample == 0 and samples.calls_per_sample == 0


BUILT_IN = [
    ("vae", "decode", {}),
    ("vae", "ancestral", {}),
    ("sngan", "decode", {}),
    ("realnvp", "decode", {}),
    ("realnvp", "langevin", {"num_steps": 12}),
    ("ebm", "langevin", {"num_steps": 12}),
    ("ddpm", "ddim", {"num_steps": 12}),
    ("ddpm", "ddpm", {"num_steps": 12}),
    ("ddpm", "probability-flow", {"num_steps": 11}),
    ("ddpm", "reverse-sde", {"num_steps": 12}),
]


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
@pytest.mark.parametrize(("model", "sampler", "options"), BUILT_IN)
def test_the_cost_of_every_built_in_sampler_is_that_of_a_whole_drawing(
    model: str, sampler: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    zoo = Zoo.load()
    net, steps = zoo.model(model, shape, FAMILIES[model], {}), zoo.sampler(sampler, options)
    used = sum(p.numel() for p in net.parameters())
    samples = draw(steps, net, 20, seed=0)
    with torch.no_grad(), count_flops() as whole:
        for _ in steps.steps(net, 20, Generator().manual_seed(0)):
            pass
    assert samples.flops_per_sample == whole.total / 20 > 0
    assert samples.parameters == needed_parameters(steps, net) <= used
    assert (samples.parameters == used) == (model not in ("vae", "sngan"))


MEMORY = """
import torch
from genzoo.capabilities import Decoder
from genzoo.sampling import draw

class Half(torch.nn.Module, Decoder):
    shape = latent_shape = (2,)
    def decode(self, z): return z / 2

class Once:
    needs = (Decoder,)
    def steps(self, model, n, generator): yield model.decode(torch.randn((n, 2), generator=generator))

for n in (4, 10_000_000, 4):
    print(draw(Once(), Half(), n, seed=0, batch_size=n).peak_memory_mb)
"""


def test_the_peak_of_the_memory_is_that_of_the_drawing() -> None:
    told = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True).stdout.split()
    if told[0] == "None":
        pytest.skip("only Linux tells")
    small, large, again = map(float, told)
    assert large > small + 120 and again < large - 120
