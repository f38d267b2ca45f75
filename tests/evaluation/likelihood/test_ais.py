"""Annealed importance sampling and its Hamiltonian transitions, where the partition function is known."""

import math

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import Energy
from genzoo.evaluation.likelihood import likelihoods
from genzoo.evaluation.likelihood.ais import Path, Schedule, forward, log_mean_exp, reverse
from genzoo.evaluation.likelihood.hmc import Chains, transition
from genzoo.testing import GaussianReference, MixtureReference
from genzoo.testing.closed_forms import Only


class Well(nn.Module, Energy):
    """E(x) = |x|^2 / 2 s^2: log Z = d log s + d / 2 log 2 pi."""

    def __init__(self, dimension: int, std: float) -> None:
        super().__init__()
        self.shape, self.std = (dimension,), std
        self.log_z = dimension * (math.log(std) + 0.5 * math.log(2 * math.pi))

    def energy(self, x: Tensor) -> Tensor:
        return 0.5 * (x / self.std).square().flatten(1).sum(1)


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def ends(path: Path, well: Well, schedule: Schedule, m: int, seed: int) -> tuple[Tensor, Tensor]:
    """log weights of m chains from the normal, and of m that start at exact draws of the model."""
    draws = generator(seed)
    d = well.shape[0]
    _, up = forward(path, schedule, path.visit(torch.randn(m, d, generator=draws)), draws)
    exact = path.whiten(well.std * torch.randn(m, d, generator=draws))
    return up, reverse(path, schedule, path.visit(exact), draws)


COARSE = Schedule(np.linspace(0, 1, 6), np.full(6, 0.3))


def test_weights_are_unbiased_from_both_ends() -> None:
    """E[w] = Z and E[1 / w'] = 1 / Z, over 4,000 chains of five temperatures; 4 standard errors."""
    well = Well(4, 0.3)
    path = Path(well, torch.randn(500, 4, generator=generator(1)))
    up, down = ends(path, well, COARSE, 4000, seed=0)
    for log_w, wanted in ((up, well.log_z), (down, -well.log_z)):
        found, se = log_mean_exp(log_w)
        assert se < 0.15
        assert found == pytest.approx(wanted, abs=4 * se)


def test_the_two_ends_bracket_a_known_partition_function() -> None:
    """With few chains and temperatures, on average over 40 runs: by more than 3 standard errors on either side."""
    well = Well(4, 0.3)
    path = Path(well, torch.randn(500, 4, generator=generator(1)))
    runs = [ends(path, well, COARSE, 4, seed) for seed in range(40)]
    up = torch.tensor([log_mean_exp(one)[0] - well.log_z for one, _ in runs])
    down = torch.tensor([-log_mean_exp(other)[0] - well.log_z for _, other in runs])
    assert up.mean() < -3 * up.std() / math.sqrt(40)
    assert down.mean() > 3 * down.std() / math.sqrt(40)


@pytest.mark.parametrize("std", [0.12, 1.0, 3.0])
def test_a_width_unlike_that_of_the_examples_is_no_matter(std: float) -> None:
    """Examples of unit width in 8 dimensions; 5 standard errors of the common error of all examples."""
    well = Well(8, std)
    x = torch.randn(50, 8, generator=generator())
    energy = well.energy(x).mean().item()
    for found in likelihoods(well, x, None):
        assert found.value == pytest.approx(energy + well.log_z, abs=max(0.1, 5 * shared(found, well, x)))


def shared(found: object, well: Well, x: Tensor) -> float:
    """The part of the standard error that is not the examples' own."""
    own = well.energy(x).std().item() / math.sqrt(len(x))
    return math.sqrt(max(found.se**2 - own**2, 0.0))


def test_modes_that_are_apart() -> None:
    """Two modes 8 standard deviations apart and 16 dimensions: both ends within 0.25 nats of the closed form."""
    centres = torch.zeros(2, 16)
    centres[:, 0] = torch.tensor([-1.0, 1.0])
    model = MixtureReference(centres, 0.25**2)
    x = model.sample(100, generator())
    for found in likelihoods(Only(model, "energy"), x, None):
        assert found.value == pytest.approx(-model.log_prob(x).mean().item(), abs=0.25)


def test_mass_where_there_is_no_example_is_not_lost() -> None:
    """A third of the model's mass lies between the examples; chains from them alone would miss log 3/2 of log Z."""
    centres = torch.tensor([[-1.2, 0.0], [0.0, 0.0], [1.2, 0.0]])
    model = MixtureReference(centres, 0.12**2)
    x = MixtureReference(centres[[0, 2]], 0.12**2).sample(300, generator())
    truth = -model.log_prob(x).mean().item()
    for found in likelihoods(Only(model, "energy"), x, None)[1:]:
        assert found.value == pytest.approx(truth, abs=0.25)


class Needles(nn.Module, Energy):
    """N(0, 3^2 I) of weight 1 and two needles N(+-m, 0.01^2 I) of weight e^9 in ten dimensions."""

    shape = (10,)
    centre = torch.full((10,), 3.0)

    def energy(self, x: Tensor) -> Tensor:
        wide = self._log_normal(x, 3.0)
        needles = torch.logaddexp(self._log_normal(x - self.centre, 0.01), self._log_normal(x + self.centre, 0.01))
        return -torch.logaddexp(wide, needles + 9)

    def _log_normal(self, x: Tensor, std: float) -> Tensor:
        return -0.5 * (x / std).square().sum(1) - 10 * math.log(std * math.sqrt(2 * math.pi))


def test_the_ends_disagree_where_the_normal_s_end_has_missed_what_the_examples_know() -> None:
    """The first is wrong by log(1 + 2 e^9), 9.7 nats, and flatters the model; the other says so."""
    sides = torch.tensor([1.0, -1.0]).repeat(50)[:, None]
    x = sides * Needles.centre + 0.01 * torch.randn(100, 10, generator=generator())
    up, down = likelihoods(Needles(), x, None)
    truth = Needles().energy(x).mean().item() + math.log1p(2 * math.exp(9))
    assert up.value < truth - 5
    assert down.value > up.value + 5


def test_transitions_leave_the_target_as_it_is() -> None:
    """Exact draws of f_beta stay draws of it: mean and variance of 4,000 chains after 20 transitions, 4.5 s.e."""
    well, beta = Well(2, 0.5), 0.6
    path = Path(well, torch.randn(500, 2, generator=generator(1)) * 2)
    precision = (1 - beta) + beta * (path.std / well.std) ** 2
    mean = -beta * (path.mean * path.std / well.std**2) / precision
    draws = generator(2)
    chains = path.visit(mean + precision.rsqrt() * torch.randn(4000, 2, generator=draws))
    for _ in range(20):
        chains, accepted = transition(path.visit, chains, beta, 0.3, draws)
    assert 0.3 < accepted < 0.99
    assert ((chains.y.mean(0) - mean).abs() < 4.5 * precision.rsqrt() / math.sqrt(4000)).all()
    assert torch.allclose(chains.y.var(0) * precision, torch.ones(2), atol=4.5 * math.sqrt(2 / 4000))


def test_transitions_find_the_target_from_elsewhere() -> None:
    well = Well(2, 0.5)
    path, draws = Path(well, torch.randn(500, 2, generator=generator(1))), generator(3)
    chains = path.visit(torch.full((2000, 2), 4.0))
    for _ in range(100):
        chains, _ = transition(path.visit, chains, 1.0, 0.4, draws)
    x = path.mean + path.std * chains.y
    assert torch.allclose(x.std(0), torch.full((2,), 0.5), rtol=0.08)


def test_where_the_density_is_not_a_number_nothing_is_accepted() -> None:
    def visit(y: Tensor) -> Chains:
        return Chains(y, torch.where(y[:, 0] > 0, torch.nan, 0.0), torch.zeros_like(y))

    draws, chains = generator(), visit(-torch.ones(200, 1))
    for _ in range(20):
        chains, _ = transition(visit, chains, 1.0, 1.0, draws)
    assert (chains.y <= 0).all()
    assert chains.y.std() > 0.1


def test_an_energy_that_is_infinite_everywhere_has_a_reason() -> None:
    class Nowhere(Well):
        def energy(self, x: Tensor) -> Tensor:
            return x.sum(1) * 0 + math.inf

    (found,) = likelihoods(Nowhere(4, 1.0), torch.zeros(20, 4), None)
    assert found.reason == "AIS: no chain has a finite weight"


def test_an_energy_without_a_gradient_has_a_reason() -> None:
    class Stairs(Well):
        def energy(self, x: Tensor) -> Tensor:
            return x.detach().round().square().sum(1)

    (found,) = likelihoods(Stairs(4, 1.0), torch.zeros(20, 4), None)
    assert found.reason == "AIS: the energy cannot be differentiated"


def test_a_normalised_density_needs_no_annealing() -> None:
    model = GaussianReference(torch.zeros(3))
    kinds = {found.kind for found in likelihoods(model, torch.zeros(20, 3), None)}
    assert "exact" in kinds
    assert not any("AIS" in kind for kind in kinds)
