"""Drawing: one seed, one answer; every network call is counted; what is not finite is counted and kept."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from small_samplers import Broken, Net, Twice, Walk, net
from torch import Generator, Tensor, nn

from genzoo.capabilities import Score, as_score, offers, supports
from genzoo.sampling import Counted, UsedParameters, draw, needed_parameters
from genzoo.testing import GaussianReference, MixtureReference

__all__ = ["net"]


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
