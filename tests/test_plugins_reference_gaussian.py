"""The Gaussian against the moments of its data."""

import pytest
import torch
from known_data import covariance, pictures, ring
from torch import Tensor
from torch.distributions import MultivariateNormal

from genzoo.capabilities import labelled, offers
from genzoo_reference.gaussian import Gaussian


def normal(mean: Tensor, covariance: Tensor) -> MultivariateNormal:
    return MultivariateNormal(mean.double(), covariance_matrix=covariance.double())


def test_a_gaussian_has_the_mean_and_covariance_of_its_data() -> None:
    x, model = ring(500), Gaussian((2,), jitter=1e-9)
    model.fit(x, None)
    wanted = normal(x.mean(0), covariance(x))
    assert torch.allclose(model.log_prob(x).double(), wanted.log_prob(x.double()), atol=1e-4)


def test_a_gaussian_of_images_is_that_of_dequantised_ones() -> None:
    (x, _), model = pictures(200), Gaussian((1, 4, 4), levels=17, jitter=1e-9)
    model.fit(x, None)
    dequantised = covariance(x) + (2 / 16) ** 2 / 12 * torch.eye(16)
    wanted = normal(x.flatten(1).mean(0), dequantised).log_prob(x.flatten(1).double())
    assert torch.allclose(model.log_prob(x).double(), wanted, atol=1e-3)


def test_dequantising_by_chance_gives_that_covariance_on_average() -> None:
    """The closed form and 400 draws of the noise agree on the variances, within 2 %."""
    (x, _), model = pictures(50), Gaussian((1, 4, 4), levels=17, jitter=1e-9)
    model.fit(x, None)
    noise = (torch.rand(400, *x.shape, generator=torch.Generator().manual_seed(1)) - 0.5) * (2 / 16)
    drawn = (x + noise).flatten(0, 1).flatten(1).var(0)
    root = model._root(0).detach()
    assert torch.allclose((root @ root.T).diagonal(), drawn, rtol=0.02)


def test_a_gaussian_s_draws_have_its_covariance() -> None:
    x, model = ring(500), Gaussian((2,))
    model.fit(x, None)
    drawn = model.decode(torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0))).detach()
    assert torch.allclose(covariance(drawn), covariance(x), atol=0.02)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 1.0])
def test_shrinkage_goes_from_the_covariance_to_a_round_one_of_the_same_trace(shrinkage: float) -> None:
    x = ring(300) * torch.tensor([2.0, 0.5])
    model = Gaussian((2,), shrinkage=shrinkage, jitter=1e-9)
    model.fit(x, None)
    root, s = model._root(0).detach().double(), covariance(x)
    assert torch.allclose(root @ root.T, (1 - shrinkage) * s + shrinkage * s.trace() / 2 * torch.eye(2), atol=1e-5)


def test_fewer_images_than_pixels_are_no_obstacle() -> None:
    x, _ = pictures(5)
    model = Gaussian((1, 4, 4))
    model.fit(x, None)
    assert model.log_prob(x).isfinite().all()


def test_a_conditional_gaussian_is_one_of_each_class_and_one_of_all() -> None:
    x, y = pictures(400)
    model = Gaussian((1, 4, 4), levels=17, num_classes=2, conditional=True)
    model.fit(x, y)
    alone = []
    for part in (x[y == 0], x[y == 1], x):
        alone.append(Gaussian((1, 4, 4), levels=17))
        alone[-1].fit(part, None)
    some, labels = x[:6], torch.tensor([0, 1, 2, 2, 1, 0])
    wanted = torch.stack([alone[k].log_prob(some[i : i + 1])[0] for i, k in enumerate(labels)])
    assert torch.allclose(model.given(labels).log_prob(some), wanted, atol=1e-3)
    assert torch.allclose(model.log_prob(some), alone[2].log_prob(some), atol=1e-3)
    view = model.given(labels)
    assert torch.allclose(view.decode(view.encode(some)), some, atol=1e-3)


def test_only_the_conditional_gaussian_is_conditional() -> None:
    assert "Conditional" not in offers(Gaussian((2,), num_classes=3))
    model = Gaussian((2,), num_classes=3, conditional=True)
    assert "Conditional" in offers(model)
    assert labelled(model, torch.tensor([0, 1])) is not model


def test_a_class_without_examples_is_taken_for_all_of_them() -> None:
    x, _ = pictures(100)
    model = Gaussian((1, 4, 4), num_classes=2, conditional=True)
    model.fit(x, torch.zeros(100, dtype=torch.long))
    assert torch.equal(model.given(torch.tensor([1])).log_prob(x[:1]), model.log_prob(x[:1]))


def test_a_conditional_gaussian_needs_classes() -> None:
    with pytest.raises(ValueError, match="conditional=True needs data with classes"):
        Gaussian((2,), conditional=True)
