"""The energy-based model by hand: its energy, its Gaussian, where walks begin and how they go on."""

import math

import pytest
import torch
from torch import nn

from genzoo.capabilities import as_score
from genzoo.sampling import draw
from genzoo.testing import GaussianReference, MixtureReference
from genzoo_ebm.gaussian import Gaussian
from genzoo_ebm.model import EBM, Potential
from genzoo_ebm.nets import trunk
from genzoo_ebm.samplers import Langevin, chosen
from genzoo_ebm.walks import step_size, temperature_of, walk

IMAGE = (1, 6, 6)


def flat(model: EBM) -> EBM:
    """The net says nothing."""
    for parameter in model.net.parameters():
        nn.init.zeros_(parameter)
    return model


def pictures(n: int, seed: int = 0) -> torch.Tensor:
    """Smooth 6x6 pictures in [-1, 1]."""
    noise = torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, 3, stride=1).tanh()


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
    assert torch.allclose(first.mean(0), model.base.mean, atol=4 * 2 / 20_000**0.5)
    assert torch.allclose(first.std(0), model.base.root, rtol=4 / 40_000**0.5)


def test_a_coordinate_that_never_varies_keeps_a_spread() -> None:
    model = flat(EBM((2,)))
    model.initialize(torch.tensor([1.0, 0.0]) * torch.randn(100, 1))
    assert model.base.root[1] > 0 and model.energy(torch.zeros(1, 2)).isfinite().all()


def test_a_base_that_is_not_fitted_stays_the_standard_normal() -> None:
    model = flat(EBM((2,), base="normal"))
    model.initialize(5 + torch.randn(100, 2))
    x = torch.randn(5, 2)
    assert torch.allclose(model.energy(x), 0.5 * x.square().sum(1))


def test_the_temperature_divides_the_tilt_alone() -> None:
    torch.manual_seed(0)
    model, x = EBM((2,), base="normal"), torch.randn(5, 2)
    normal = 0.5 * x.square().sum(1)
    warm = model.energy(x) - normal
    model.settle(step=0.01, temperature=0.1, num_steps=7)
    assert torch.allclose(model.energy(x) - normal, 10 * warm, rtol=1e-4)


def test_a_walk_is_kept_with_the_weights() -> None:
    """A saved model is sampled as it was trained."""
    trained, loaded = EBM((2,)), EBM((2,))
    trained.settle(step=0.01, temperature=0.1, num_steps=7)
    loaded.load_state_dict(trained.state_dict())
    assert step_size(None, loaded) == pytest.approx(0.01) and temperature_of(loaded) == pytest.approx(0.1)
    assert len(list(Langevin().steps(loaded, 3, torch.Generator().manual_seed(0)))) == 7


def test_energies_begin_about_those_of_the_gaussian() -> None:
    torch.manual_seed(0)
    model, x = EBM(IMAGE, width=8), pictures(50)
    model.initialize(x)
    tilt = model.energy(x) + model.log_start(x)
    assert tilt.mean().item() == pytest.approx(0, abs=1e-4) and tilt.std() > 0


def test_a_gaussian_of_few_images_has_full_rank_and_their_variances() -> None:
    x, gaussian = pictures(20), Gaussian(IMAGE)
    gaussian.fit(x)
    covariance = gaussian.root @ gaussian.root
    assert torch.linalg.eigvalsh(covariance).min() > 0.04**2
    assert torch.allclose(covariance.diagonal(), x.flatten(1).var(0, correction=0), rtol=0.05)


def test_a_gaussian_keeps_the_covariance_of_neighbours_and_halves_that_of_pixels_far_apart() -> None:
    x, gaussian = pictures(4000), Gaussian(IMAGE)
    x = x + torch.randn(4000, 1, 1, 1, generator=torch.Generator().manual_seed(1))  # the same for all pixels
    gaussian.fit(x)
    got, sample = gaussian.root @ gaussian.root, torch.cov(x.flatten(1).T)
    assert got[0, 1] / sample[0, 1] == pytest.approx(0.5 + 0.5 * math.exp(-1 / 8), abs=0.02)
    assert got[0, 35] / sample[0, 35] == pytest.approx(0.5, abs=0.02)


def test_a_gaussian_s_density_and_draws_are_those_of_the_multivariate_normal() -> None:
    x, gaussian = pictures(50), Gaussian(IMAGE)
    gaussian.fit(x)
    normal = torch.distributions.MultivariateNormal(gaussian.mean, gaussian.root @ gaussian.root)
    assert torch.allclose(gaussian.log_prob(x), normal.log_prob(x.flatten(1)), atol=0.05)
    assert torch.allclose(gaussian.decode(gaussian.encode(x)), x, atol=1e-4)


def test_walks_over_images_stay_among_pixels_and_others_need_not() -> None:
    for model, kept in ((EBM(IMAGE), True), (Potential(IMAGE), False)):
        model.initialize(pictures(50))
        *_, x = Langevin(num_steps=3).steps(model, 200, torch.Generator().manual_seed(0))
        assert (x.abs().max() <= 1) == kept


def test_a_langevin_step_by_hand() -> None:
    """x - (e / 2) x / s^2 + sqrt(e T) noise, on N(0, s^2)."""
    x, gaussian = torch.ones(3, 2), GaussianReference(torch.zeros(2), 4.0)
    stepped = next(walk(gaussian, x, 0.02, torch.Generator().manual_seed(0), temperature=0.25))
    noise = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(stepped, x - 0.01 * x / 4 + math.sqrt(0.02) * 0.5 * noise)


def test_the_drift_of_a_step_reaches_no_farther_than_the_model_says() -> None:
    """By |x| / 2 to each side on N(0, I) with e = 1, but by no more than 0.1."""
    gaussian = GaussianReference(torch.zeros(2), 1.0)
    gaussian.reach = 0.1  # type: ignore[attr-defined]
    x = torch.tensor([[0.1, -3.0]])
    stepped = next(walk(gaussian, x, 1.0, torch.Generator().manual_seed(0), temperature=0))
    assert torch.allclose(stepped, torch.tensor([[0.05, -2.9]]))


@pytest.mark.parametrize(("std", "step"), [(1.0, 0.5), (0.3, 0.05), (0.3, 0.2)])
def test_the_bias_of_langevin_is_the_fixed_point_of_its_recursion(std: float, step: float) -> None:
    """v = (1 - e / (2 s^2))^2 v + e T."""
    variance = 0.0
    for _ in range(10_000):
        variance = (1 - step / (2 * std**2)) ** 2 * variance + step * 0.5
    told = Langevin(step=step, temperature=0.5).expected_std(GaussianReference(torch.zeros(2), std**2), std)
    assert told == pytest.approx(variance**0.5, rel=1e-6)


def test_without_temperature_a_walk_flows_downhill() -> None:
    *_, x = Langevin(num_steps=500, step=0.05, temperature=0).steps(
        GaussianReference(torch.ones(2), 0.25), 10, torch.Generator().manual_seed(0)
    )
    assert torch.allclose(x, torch.ones(10, 2), atol=1e-4)


def test_starts_chosen_among_many_are_draws_of_the_model() -> None:
    """A mode of three quarters and one of a quarter, 10 standard deviations apart, from N(0, I)."""
    centres = torch.tensor([[1.0, 0.0]] * 3 + [[-1.0, 0.0]])
    x = chosen(MixtureReference(centres, 0.2**2), 4000, 300, torch.Generator().manual_seed(0))
    right = x[:, 0] > 0
    assert right.double().mean().item() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 4000) + 0.01)
    assert x[right].std(0).tolist() == pytest.approx([0.2, 0.2], rel=0.06)


def test_every_candidate_is_a_call() -> None:
    samples = draw(Langevin(num_steps=5, candidates=7), EBM((2,)), 10, 0)
    assert samples.calls_per_sample == 12


def test_a_class_s_energy_is_its_logit_and_no_class_is_their_sum() -> None:
    torch.manual_seed(0)
    model, x = EBM((2,), conditional=True, num_classes=3), torch.randn(6, 2)
    logits, base = model.net(x), -model.log_start(x)
    labels = torch.tensor([0, 1, 2, 3, 3, 1])  # 3 is no class
    energy = model.given(labels).energy(x)
    wanted = torch.stack([*logits[range(3), [0, 1, 2]], *logits[3:5].logsumexp(1), logits[5, 1]])
    assert torch.allclose(energy, base - wanted, atol=1e-5)
    assert torch.allclose(model.energy(x), base - logits.logsumexp(1), atol=1e-5)


@pytest.mark.parametrize("model", [EBM, Potential])
def test_classes_that_are_not_there_are_refused(model: type[EBM]) -> None:
    with pytest.raises(ValueError, match="needs data with classes"):
        model((2,), conditional=True)
    assert not hasattr(model((2,), num_classes=3), "num_classes")


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 17, 30)])
def test_the_trunk_takes_images_of_any_size_and_answers_in_float32(shape: tuple[int, ...]) -> None:
    net = trunk(shape, 2, 16)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(torch.randn(3, *shape))
    assert out.shape == (3, 2) and out.dtype == torch.float32


def test_the_trunk_of_28_pixels_has_two_million_parameters() -> None:
    assert sum(p.numel() for p in EBM((1, 28, 28)).parameters()) == pytest.approx(2e6, rel=0.05)
