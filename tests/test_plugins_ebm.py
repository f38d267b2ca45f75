"""The energy-based model by hand: its energy, where walks begin, and the gradient that contrastive divergence takes."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import as_score
from genzoo.protocols import Batch
from genzoo.testing import GaussianReference
from genzoo_ebm.model import EBM
from genzoo_ebm.samplers import Langevin
from genzoo_ebm.walks import walk
from genzoo_ebm.contrastive import ContrastiveDivergence


def flat(model: EBM) -> EBM:
    """The net says nothing."""
    for parameter in model.net.parameters():
        nn.init.zeros_(parameter)
    return model


def test_without_a_net_it_is_the_gaussian_that_fits_the_data() -> None:
    torch.manual_seed(0)
    x = torch.randn(20_000, 2) * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -3.0])
    model = flat(EBM((2,)))
    model.initialize(x)
    gaussian = torch.distributions.Normal(x.mean(0), x.std(0))
    log_prob = gaussian.log_prob(x[:100]).sum(1)
    differences = model.energy(x[:100]) + log_prob  # a constant: the energy is not normalised
    assert torch.allclose(differences, differences[0].expand(100), atol=1e-3)
    assert torch.allclose(as_score(model).score(x[:100]), (x.mean(0) - x[:100]) / x.var(0), atol=1e-3)


def test_walks_begin_in_that_gaussian() -> None:
    model = flat(EBM((2,)))
    model.initialize(torch.randn(20_000, 2) * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, -3.0]))
    first = model.start(20_000, torch.Generator().manual_seed(0))
    assert torch.allclose(first.mean(0), model.mean, atol=4 * 2 / 20_000**0.5)
    assert torch.allclose(first.std(0), model.std, rtol=4 / 40_000**0.5)


def test_a_coordinate_that_never_varies_keeps_a_spread() -> None:
    model = flat(EBM((2,)))
    model.initialize(torch.tensor([1.0, 0.0]) * torch.randn(100, 1))
    assert model.std[1] > 0 and model.energy(torch.zeros(1, 2)).isfinite().all()


def test_alone_the_net_is_the_energy() -> None:
    model = EBM((2,), base="none")
    x = torch.randn(5, 2)
    assert torch.equal(model.energy(x), -model.net(x).squeeze(1))


def test_a_langevin_step_by_hand() -> None:
    """x - (e / 2) x / s^2 + sqrt(e) noise, on N(0, s^2)."""
    x, gaussian = torch.ones(3, 2), GaussianReference(torch.zeros(2), 4.0)
    stepped = next(walk(as_score(gaussian), x, 0.02, torch.Generator().manual_seed(0)))
    noise = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(stepped, x - 0.01 * x / 4 + math.sqrt(0.02) * noise)


@pytest.mark.parametrize(("std", "step"), [(1.0, 0.5), (0.3, 0.05), (0.3, 0.2)])
def test_the_bias_of_langevin_is_the_fixed_point_of_its_recursion(std: float, step: float) -> None:
    """v = (1 - e / (2 s^2))^2 v + e."""
    variance = 0.0
    for _ in range(10_000):
        variance = (1 - step / (2 * std**2)) ** 2 * variance + step
    told = Langevin(step=step).expected_std(GaussianReference(torch.zeros(2), std**2), std)
    assert told == pytest.approx(variance**0.5, rel=1e-6)


class Parabola(nn.Module):
    """E(x) = (k / 2) |x|^2, whose derivative by k is |x|^2 / 2."""

    shape, trainer, sampler = (2,), "contrastive-divergence", "langevin"

    def __init__(self, steepness: float) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(steepness))

    def energy(self, x: Tensor) -> Tensor:
        return 0.5 * self.steepness * (x**2).sum(1)


def data(std: float, n: int = 4000) -> Iterator[Batch]:
    torch.manual_seed(0)
    while True:
        yield Batch(std * torch.randn(n, 2))


@pytest.mark.parametrize(("steepness", "sign"), [(1.0, 1), (0.25, 0), (0.1, -1)])
def test_the_gradient_is_data_against_walks(steepness: float, sign: int) -> None:
    """On data N(0, 2^2) the steepness is right at 1/4: above it the gradient is positive, below it negative."""
    model = Parabola(steepness)
    trainer = ContrastiveDivergence(num_steps=300, step=0.1, restart=0.0)
    _, loss = next(trainer.losses(model, data(2.0)))
    loss.backward()
    wanted = 2.0**2 - 1 / steepness  # E_data |x|^2 / 2 - E_model |x|^2 / 2, in two dimensions
    assert model.steepness.grad.item() == pytest.approx(wanted, abs=0.5)
    assert sign == 0 or math.copysign(1, model.steepness.grad.item()) == sign


def test_walks_go_on_where_they_were() -> None:
    model = Parabola(1.0)
    trainer = ContrastiveDivergence(num_steps=1, step=1e-8, restart=0.0, buffer=50)
    list(trainer.losses(model, data(2.0, n=10)))
    kept = trainer.walks.clone()
    list(trainer.losses(model, data(2.0, n=10)))
    moved = (trainer.walks - kept).abs().max(1).values
    assert 0 < (moved > 0).sum() <= 10 and moved.max() < 0.01


def test_walks_that_begin_anew_leave_their_place() -> None:
    model = Parabola(1.0)
    trainer = ContrastiveDivergence(num_steps=1, step=1e-8, restart=1.0, buffer=50)
    list(trainer.losses(model, data(2.0, n=10)))
    kept = trainer.walks.clone()
    list(trainer.losses(model, data(2.0, n=10)))
    assert (trainer.walks - kept).abs().max() > 0.1


def test_the_model_s_weights_can_be_trained_after_a_step() -> None:
    model = Parabola(1.0)
    list(ContrastiveDivergence(num_steps=2).losses(model, data(2.0, n=10)))
    assert model.steepness.requires_grad
