"""Drawing: one seed, one answer; every network call is counted; what is not finite is counted and kept."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from small import FAMILIES
from torch import Generator, Tensor, nn

from genzoo import sampling
from genzoo.capabilities import Decoder, Encoder, Score, as_score, offers, supports
from genzoo.flops import count_flops
from genzoo.sampling import Counted, UsedParameters, draw, needed_parameters
from genzoo.testing import GaussianReference, MixtureReference
from genzoo.zoo import Zoo


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


def test_samples_are_the_last_state_for_the_number_asked_for(net: Net) -> None:
    samples = draw(Twice(), net, 7, seed=0)
    noise = torch.randn((7, 2), generator=Generator().manual_seed(0))
    assert torch.equal(samples.x, net.decode(net.decode(noise)))
    assert samples.x.dtype is torch.float32 and samples.num_not_finite == 0


def test_what_counts_follows_a_model_that_has_moved() -> None:
    model = MixtureReference(torch.zeros(1, 2), 1.0)
    counted, tally = Counted(model), Counter[str]()
    model.double()
    counted.count_into(tally)
    counted.predict(torch.zeros(3, 2), torch.tensor(0))
    assert counted.betas.dtype is torch.float64 and tally == {"predict": 3}


def test_the_seed_decides_and_the_global_state_neither_matters_nor_changes(net: Net) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = draw(Twice(), net, 5, seed=3).x
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(draw(Twice(), net, 5, seed=3).x, first)
    assert not torch.equal(draw(Twice(), net, 5, seed=4).x, first)


@pytest.mark.parametrize("n", [1, 4, 5, 8, 9])
def test_batches_make_no_difference_to_the_number(net: Net, n: int) -> None:
    samples = draw(Twice(), net, n, seed=0, batch_size=4)
    assert samples.x.shape == (n, 2) and samples.calls_per_sample == 2.0
    assert len({tuple(row) for row in samples.x.tolist()}) == n  # and no batch repeats another's noise


def test_the_states_of_the_first_batch_can_be_watched(net: Net) -> None:
    seen: list[Tensor] = []
    samples = draw(Twice(), net, 6, seed=0, batch_size=4, watch=seen.append)
    assert [len(state) for state in seen] == [4, 4]
    assert torch.equal(seen[-1], samples.x[:4])


def test_the_model_is_used_in_eval_mode_without_gradients(net: Net) -> None:
    net.train()
    samples = draw(Twice(), net, 2, seed=0)
    assert not net.training and not samples.x.requires_grad


def test_gradients_of_the_input_are_there_for_who_needs_them() -> None:
    @dataclass(frozen=True)
    class Ascend:
        needs: ClassVar[tuple[type, ...]] = (Score,)

        def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
            x = torch.ones(n, 2)
            yield x + as_score(model).score(x)

    class Bowl(nn.Module):
        shape = (2,)

        def energy(self, x: Tensor) -> Tensor:
            return 0.5 * (x**2).sum(1)

    samples = draw(Ascend(), Bowl(), 3, seed=0)
    assert torch.equal(samples.x, torch.zeros(3, 2)) and samples.calls_per_sample == 1.0


def test_rows_that_are_not_finite_are_counted_and_kept() -> None:
    samples = draw(Broken(), GaussianReference(torch.zeros(2), 1.0), 7, seed=0)
    assert samples.num_not_finite == 3
    assert samples.x.shape == (7, 2)


def test_only_the_parameters_that_sampling_touches_are_counted(net: Net) -> None:
    assert draw(Twice(), net, 2, seed=0).parameters == 4


class Inverse(Net):
    """Decodes through a layer's weight, by a method of a module that is never called."""

    def decode(self, z: Tensor) -> Tensor:
        return self.temperature * (z @ self.generator.weight.T)


def test_modules_that_are_used_without_being_called_are_counted() -> None:
    assert draw(Twice(), Inverse(), 2, seed=0).parameters == 4 + 1


def test_what_only_late_states_use_is_counted() -> None:
    """A net for each half of the walk, as long as operations are no longer counted when the second one begins."""

    class Halves(Net):
        def decode(self, z: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            return self.generator(z) if self.calls < 50 else z + self.critic(z)[:, :2]

    assert draw(Walk(100), Halves(), 2, seed=0).parameters == 4 + 300


@pytest.mark.parametrize(("model", "used"), [(Net, 4), (Inverse, 5)])
def test_the_parameters_that_sampling_will_need_are_known_beforehand(model: type[Net], used: int) -> None:
    untrained = model()
    assert needed_parameters(Walk(1000), untrained) == used
    assert untrained.training and all(p.requires_grad for p in untrained.parameters())


def test_counting_parameters_leaves_the_model_as_it_was(net: Net) -> None:
    with pytest.raises(ZeroDivisionError), UsedParameters(net):
        1 / 0  # noqa: B018
    draw(Twice(), net, 2, seed=0)
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_a_counted_model_is_the_model_with_a_tally(net: Net) -> None:
    counted = Counted(net)
    assert offers(counted) == offers(net) and counted.shape == net.shape
    z = torch.randn(5, 2)
    assert torch.equal(counted.decode(z), net.decode(z))
    counted.decode(z[:2])
    assert counted.rows == 7


def test_views_for_labels_count_on_the_same_tally(net: Net) -> None:
    counted = Counted(net)
    counted.given(torch.tensor([0, 1])).decode(torch.zeros(2, 2))
    assert counted.rows == 2


def test_conversions_of_a_counted_model_are_counted() -> None:
    counted = Counted(GaussianReference(torch.zeros(2), 1.0))
    assert supports(counted, (Score,))
    as_score(counted).score(torch.zeros(3, 2))
    assert counted.rows == 3


def test_arguments_may_be_named() -> None:
    counted = Counted(GaussianReference(torch.zeros(2), 1.0))
    x, sigma = torch.ones(3, 2), torch.tensor(1.0)
    assert torch.equal(counted.denoise(x, sigma=sigma), counted.denoise(x, sigma))
    assert counted.rows == 6


# What a sample costs

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
