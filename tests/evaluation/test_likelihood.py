"""Likelihoods in closed form, and what each kind of number is called."""

import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import Critic, Decoder, Density, Energy, LowerBound, Mass
from genzoo.evaluation.likelihood import likelihood


class UniformMass(nn.Module, Mass):
    """Every one of 256 levels is equally likely."""

    shape = (1, 4, 4)

    def log_mass(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), -x[0].numel() * math.log(256.0))


class UniformDensity(nn.Module, Density):
    """Uniform over the cubes of all 256 levels."""

    shape = (1, 4, 4)

    def log_prob(self, x: Tensor) -> Tensor:
        edge = 1 + 1 / 255
        inside = (x.abs() <= edge + 1e-6).flatten(1).all(1)
        return torch.where(inside, -x[0].numel() * math.log(2 * edge), -math.inf)


class Gaussian(nn.Module, Density):
    """N(0, std^2 I)."""

    def __init__(self, shape: tuple[int, ...], std: float = 1.0) -> None:
        super().__init__()
        self.shape, self.std = shape, std

    def log_prob(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        constant = 0.5 * flat.shape[1] * math.log(2 * math.pi * self.std**2)
        return -0.5 * (flat / self.std).square().sum(1) - constant


class Bound(nn.Module, LowerBound):
    """A noisy draw one nat below the log-density of a standard normal, or below log 1/256 a dimension."""

    def __init__(self, shape: tuple[int, ...], bounds: Literal["density", "mass"]) -> None:
        super().__init__()
        self.shape, self.bounds = shape, bounds

    def log_bound(self, x: Tensor) -> Tensor:
        truth = Gaussian(self.shape) if self.bounds == "density" else UniformMass()
        log = truth.log_prob(x) if self.bounds == "density" else truth.log_mass(x)
        return log - 1 + 0.1 * torch.randn(len(x))


class Well(nn.Module, Energy):
    """E(x) = |x|^2 / 2 s^2 + 7: a Gaussian whose constant is unknown to the reader."""

    def __init__(self, std: float = 1.0, shape: tuple[int, ...] = (2,)) -> None:
        super().__init__()
        self.shape, self.std = shape, std

    def energy(self, x: Tensor) -> Tensor:
        return 0.5 * (x / self.std).square().flatten(1).sum(1) + 7


class Gan(nn.Module, Decoder, Critic):
    shape = (1, 4, 4)
    latent_shape = (2,)

    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), *self.shape)

    def discriminate(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x))


def images(n: int = 40, levels: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, levels, (n, 1, 4, 4), generator=generator) * 2 / (levels - 1) - 1


def points(n: int = 4000, std: float = 1.0) -> Tensor:
    return std * torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def test_the_uniform_model_needs_eight_bits_exactly() -> None:
    found = likelihood(UniformMass(), images(), 256)
    assert (found.value, found.unit, found.kind) == (pytest.approx(8, abs=1e-6), "bits/dim", "exact")
    assert found.se == pytest.approx(0, abs=1e-9)


def test_a_dequantised_uniform_density_needs_eight_bits_too() -> None:
    """The noise is one level wide and centred: no image leaves the model's support."""
    found = likelihood(UniformDensity(), images(), 256)
    assert found.value == pytest.approx(8, abs=1e-5)
    assert found.kind == "lower bound (uniform dequantisation)"


def test_dequantisation_bounds_the_discrete_likelihood_from_below() -> None:
    """P(k) of N(0, 0.1^2) is a difference of its distribution function; the bits must be above those, and near."""
    x, std, levels = images(400, 17) * 0.2, 0.1, 17
    x = torch.round((x + 1) * 8) / 8 - 1
    normal = torch.distributions.Normal(torch.zeros(()).double(), std)
    exact = (normal.cdf(x.double() + 1 / 16) - normal.cdf(x.double() - 1 / 16)).log2().mean().neg().item()
    found = likelihood(Gaussian((1, 4, 4), std), x, levels, num_images=None)
    assert exact < found.value < exact + 0.2


def test_density_of_points_in_nats() -> None:
    """E[-log p] of N(0, I) in the plane is 1 + log 2 pi."""
    found = likelihood(Gaussian((2,)), points(), None)
    assert (found.unit, found.kind, found.n) == ("nats", "exact", 4000)
    assert abs(found.value - 1 - math.log(2 * math.pi)) < 4 * found.se
    assert found.se == pytest.approx(1 / math.sqrt(4000), rel=0.1)


@pytest.mark.parametrize(
    ("bounds", "levels", "kind"),
    [
        ("mass", 256, "lower bound (variational)"),
        ("density", 256, "lower bound (variational, uniform dequantisation)"),
        ("density", None, "lower bound (variational)"),
    ],
)
def test_bounds_are_named_for_what_they_bound(
    bounds: Literal["density", "mass"], levels: int | None, kind: str
) -> None:
    x = points(50) if levels is None else images()
    found = likelihood(Bound(tuple(x.shape[1:]), bounds), x, levels)
    assert found.kind == kind
    if bounds == "mass":
        assert found.value == pytest.approx(8 + 1 / (16 * math.log(2)), abs=4 * found.se)


def test_a_bound_of_a_mass_says_nothing_of_points() -> None:
    found = likelihood(Bound((2,), "mass"), points(20), None)
    assert found.kind == "none"


def test_a_gan_has_none_and_says_why() -> None:
    found = likelihood(Gan(), images(), 256)
    assert (found.value, found.kind) == (None, "none")
    assert found.reason == "no likelihood: the model offers Decoder, Critic"


@pytest.mark.parametrize("std", [0.05, 1.0, 1.5])
def test_an_energy_in_the_plane_is_normalised_by_quadrature(std: float) -> None:
    found = likelihood(Well(std), points(500, std), None)
    truth = likelihood(Gaussian((2,), std), points(500, std), None)
    assert found.kind == "quadrature"
    assert found.value == pytest.approx(truth.value, abs=2e-3)


def test_an_energy_whose_mass_lies_outside_is_not_normalised() -> None:
    assert "outside" in likelihood(Well(std=50), points(20), None).reason
    assert "too rough" in likelihood(Well(std=0.003), points(20), None).reason


def test_an_energy_of_images_is_not_normalised() -> None:
    found = likelihood(Well(shape=(1, 4, 4)), images(), 256)
    assert found.kind == "none"
    assert "not normalised" in found.reason


def test_a_fixed_subset_of_the_images_is_used() -> None:
    model, x = Gaussian((1, 4, 4), 0.5), images(100)
    found = likelihood(model, x, 256, num_images=30)
    assert found.n == 30
    assert found == likelihood(model, x, 256, num_images=30)
    assert found.value != likelihood(model, x, 256, num_images=30, seed=1).value
    assert likelihood(model, x, 256, num_images=None).n == 100


def test_batches_change_nothing() -> None:
    model = Gaussian((1, 4, 4), 0.5)
    whole, parts = (likelihood(model, images(), 256, batch_size=size) for size in (1000, 7))
    assert parts.value == pytest.approx(whole.value, rel=1e-6)


def test_the_global_random_state_is_left_alone_and_not_used() -> None:
    model = Bound((2,), "density")
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = likelihood(model, points(50), None)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    assert likelihood(model, points(50), None) == first


def test_an_infinite_likelihood_is_a_reason_and_not_a_number() -> None:
    found = likelihood(UniformDensity(), 3 * images(), 256)
    assert found.value is None
    assert "not finite for" in found.reason
