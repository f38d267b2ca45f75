"""The distributions of one number: against sums in float64, and against what they draw."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from genzoo_autoregressive.distributions import LogisticMixture, Softmax, distribution


def parameters_of(mixture: LogisticMixture, log_scales: tuple[float, float], n: int = 20) -> Tensor:
    """Of n random mixtures: logits, means, log scales."""
    torch.manual_seed(0)
    k, (low, high) = mixture.components, log_scales
    means, scales = torch.rand(n, k) * 2.4 - 1.2, torch.rand(n, k) * (high - low) + low
    return torch.cat([torch.randn(n, k), means, scales], 1)


def brute_force(parameters: Tensor, levels: int) -> Tensor:
    """The masses [n, levels] by the difference of two logistic functions, whichever side keeps the digits."""
    logits, means, log_scales = parameters.double()[:, None].chunk(3, dim=-1)
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)[None, :, None]
    above, below = (x + 1 / (levels - 1) - means) / log_scales.exp(), (x - 1 / (levels - 1) - means) / log_scales.exp()
    above[:, -1], below[:, 0] = torch.inf, -torch.inf
    left, right = torch.sigmoid(above) - torch.sigmoid(below), torch.sigmoid(-below) - torch.sigmoid(-above)
    return (logits.softmax(-1) * torch.where(above + below < 0, left, right)).sum(-1)


@pytest.mark.parametrize("log_scales", [(-3.0, 1.0), (-7.0, -4.0), (2.0, 4.0)])
@pytest.mark.parametrize("levels", [2, 40, 256])
def test_a_mixture_of_logistics_has_the_masses_of_a_brute_force_sum(
    levels: int, log_scales: tuple[float, float]
) -> None:
    mixture = LogisticMixture(levels, 5)
    parameters, x = parameters_of(mixture, log_scales), torch.linspace(-1, 1, levels)
    log_mass = mixture.log_prob(parameters[:, None].expand(-1, levels, -1), x.expand(20, -1))
    wanted = brute_force(parameters, levels)
    visible = wanted > 1e-12
    assert torch.allclose(log_mass[visible].double(), wanted.log()[visible], atol=2e-3, rtol=1e-4)
    assert torch.allclose(log_mass.double().exp().sum(1), torch.ones(20, dtype=torch.float64), atol=1e-4)


def test_where_there_is_no_mass_the_logarithm_and_its_gradient_stay_finite() -> None:
    mixture = LogisticMixture(256, 1)
    parameters = torch.tensor([[0.0, 30.0, -20.0], [0.0, -30.0, -7.0], [0.0, 0.0, 20.0]]).requires_grad_()
    log_mass = mixture.log_prob(parameters, torch.zeros(3))
    log_mass.sum().backward()
    assert log_mass.isfinite().all() and parameters.grad is not None and parameters.grad.isfinite().all()


@pytest.mark.parametrize("kind", [LogisticMixture(40, 3), Softmax(17)])
def test_levels_are_drawn_as_often_as_their_masses_say(kind: LogisticMixture | Softmax) -> None:
    """A chi-square test of 50,000 draws."""
    torch.manual_seed(1)
    parameters = parameters_of(kind, (-3.0, -1.0), 1) if isinstance(kind, LogisticMixture) else torch.randn(1, 17)
    levels = torch.linspace(-1, 1, kind.levels)
    masses = kind.log_prob(parameters.expand(kind.levels, -1), levels).double().exp()
    drawn = kind.sample(parameters.expand(50_000, -1), torch.Generator().manual_seed(0))
    counts = torch.bincount(((drawn + 1) * ((kind.levels - 1) / 2)).round().long(), minlength=kind.levels).double()
    expected = 50_000 * masses / masses.sum()
    often = expected > 5
    counts = torch.cat([counts[often], counts[~often].sum()[None]])
    expected = torch.cat([expected[often], expected[~often].sum()[None]])
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3


def test_a_temperature_of_a_softmax_is_a_power_of_its_masses() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0])
    drawn = Softmax(3).sample(logits.expand(50_000, -1), torch.Generator().manual_seed(0), 0.5)
    shares = torch.tensor([(drawn == level).double().mean() for level in (-1, 0, 1)])
    assert torch.allclose(shares, torch.softmax(2 * logits, 0).double(), atol=0.01)


def test_a_temperature_of_a_logistic_is_a_factor_of_its_scale() -> None:
    parameters = torch.tensor([[0.0, 0.0, math.log(0.05)]]).expand(50_000, -1)
    drawn = LogisticMixture(256, 1).sample(parameters, torch.Generator().manual_seed(0), 0.5)
    assert drawn.std().item() == pytest.approx(0.5 * 0.05 * math.pi / math.sqrt(3), rel=0.02)


def test_few_levels_get_a_softmax() -> None:
    assert isinstance(distribution(17, 10), Softmax) and isinstance(distribution(256, 10), LogisticMixture)


@pytest.mark.parametrize("kind", [LogisticMixture(256, 10), Softmax(17)])
def test_a_network_starts_from_a_broad_distribution(kind: LogisticMixture | Softmax) -> None:
    levels = torch.linspace(-1, 1, kind.levels)
    masses = kind.log_prob(kind.start().expand(kind.levels, -1), levels).exp()
    assert masses.sum().item() == pytest.approx(1, abs=1e-4)
    assert masses.max() < 2 / kind.levels and masses.min() > 0.1 / kind.levels
