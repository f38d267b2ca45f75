"""The mixture against dense covariances, and its iterations against brute force."""

from itertools import pairwise

import pytest
import torch
from known_data import covariance, pictures, ring
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genzoo_reference.fitting import place
from genzoo_reference.mppca import MPPCA


def dense(model: MPPCA) -> MixtureSameFamily:
    """The same density, each covariance written out, in float64."""
    w, d = model.factors.detach().double(), model.means.shape[1]
    noise = torch.exp(2 * model.log_stds.detach().double())[:, None, None] * torch.eye(d, dtype=torch.float64)
    parts = MultivariateNormal(model.means.detach().double(), covariance_matrix=w @ w.mT + noise)
    return MixtureSameFamily(Categorical(logits=model.logits.detach().double()), parts)


def random_mixture(shape: tuple[int, ...], components: int, factors: int) -> MPPCA:
    torch.manual_seed(0)
    model = MPPCA(shape, components=components, factors=factors)
    for parameter in model.parameters():
        parameter.data.copy_(0.5 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(("shape", "factors"), [((2,), 0), ((2,), 1), ((1, 4, 4), 3), ((3, 4, 4), 10)])
def test_the_density_of_a_mixture_is_that_of_dense_covariances(shape: tuple[int, ...], factors: int) -> None:
    model, x = random_mixture(shape, 5, factors), torch.randn(20, *shape)
    assert torch.allclose(
        model.log_prob(x).double(), dense(model).log_prob(x.flatten(1).double()), rtol=1e-4, atol=1e-3
    )


def test_one_iteration_is_em_by_brute_force() -> None:
    """Responsibilities, and each component's weighted mean and covariance S, one by one, in float64."""
    model, x = random_mixture((1, 2, 3), 3, 2), torch.randn(80, 1, 2, 3)
    model.started.fill_(True)
    flat, mixture = x.flatten(1).double(), dense(model)
    log_joint = mixture.component_distribution.log_prob(flat[:, None]) + mixture.mixture_distribution.logits
    shares = log_joint.softmax(1)
    w, variance = model.factors.detach().double(), torch.exp(2 * model.log_stds.detach().double())
    model.fit(x, None)
    assert torch.allclose(model.logits.softmax(0).double(), shares.mean(0), atol=1e-5)
    for k in range(3):
        mean = shares[:, k] @ flat / shares[:, k].sum()
        s = (shares[:, k, None] * (flat - mean)).T @ (flat - mean) / shares[:, k].sum()
        m = w[k].T @ w[k] + variance[k] * torch.eye(2)
        wanted = s @ w[k] @ torch.linalg.inv(variance[k] * torch.eye(2) + torch.linalg.inv(m) @ w[k].T @ s @ w[k])
        noise = torch.trace(s - s @ w[k] @ torch.linalg.inv(m) @ wanted.T) / 6
        assert torch.allclose(model.means[k].double(), mean, atol=1e-4)
        assert torch.allclose(model.factors[k].double(), wanted, atol=1e-4)
        assert torch.exp(2 * model.log_stds[k]).item() == pytest.approx(noise.item(), rel=1e-4)


@pytest.mark.parametrize(("shape", "components", "factors"), [((2,), 8, 1), ((2,), 8, 0), ((1, 4, 4), 3, 4)])
def test_the_likelihood_never_falls(shape: tuple[int, ...], components: int, factors: int) -> None:
    torch.manual_seed(1)
    x = ring(600) if shape == (2,) else pictures(600)[0] + 0.1 * torch.randn(600, 1, 4, 4)
    model = MPPCA(shape, components=components, factors=factors, min_std=1e-3)
    losses = []
    for _ in range(30):
        model.fit(x, None)
        losses.append(-dense(model).log_prob(x.flatten(1).double()).mean().item())
    assert all(after <= before + 1e-6 for before, after in pairwise(losses))
    assert losses[-1] < losses[0] - 0.01


def test_one_component_becomes_probabilistic_pca() -> None:
    """W W^T + s^2 I with the q largest eigenvalues of S and the mean of the others: the maximum likelihood."""
    torch.manual_seed(0)
    x = torch.randn(400, 6) @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.3, 0.2, 0.1])) @ torch.randn(6, 6)
    x = x.view(400, 1, 2, 3)
    model = MPPCA((1, 2, 3), components=1, factors=2, min_std=1e-3)
    for _ in range(200):
        model.fit(x, None)
    values, vectors = torch.linalg.eigh(covariance(x))
    rest = values[:4].mean()
    wanted = vectors[:, 4:] @ torch.diag(values[4:] - rest) @ vectors[:, 4:].T + rest * torch.eye(6)
    assert torch.allclose(dense(model).component_distribution.covariance_matrix[0], wanted, rtol=1e-3, atol=1e-3)


def test_a_component_of_points_has_a_full_covariance() -> None:
    x = ring(500) @ torch.tensor([[1.0, 0.8], [0.0, 0.3]])
    model = MPPCA((2,), components=1)
    for _ in range(200):
        model.fit(x, None)
    assert torch.allclose(dense(model).component_distribution.covariance_matrix[0], covariance(x), atol=1e-3)


def test_dequantisation_is_added_to_every_covariance() -> None:
    (x, _), blur = pictures(300), (2 / 16) ** 2 / 12
    model = MPPCA((1, 4, 4), components=1, factors=0, levels=17)
    model.fit(x, None)
    assert torch.exp(2 * model.log_stds[0]).item() == pytest.approx(covariance(x).trace().item() / 16 + blur, rel=1e-4)


def test_a_mixture_s_draws_have_its_mean_and_covariance() -> None:
    model, generator = random_mixture((2,), 3, 1), torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = model.observe(torch.randn(100_000, 2, generator=generator), generator)
    mixture = dense(model)
    assert torch.allclose(x.mean(0).double(), mixture.mean, atol=4 * x.std(0).max().item() / 300)
    centred = mixture.component_distribution.mean - mixture.mean
    shares = mixture.mixture_distribution.probs
    between = (shares[:, None] * centred).T @ centred
    wanted = (shares[:, None, None] * mixture.component_distribution.covariance_matrix).sum(0) + between
    assert torch.allclose(covariance(x), wanted, atol=0.05)


def test_a_normal_latent_falls_on_a_component_as_often_as_its_weight_says() -> None:
    weights = torch.tensor([0.5, 0.0, 0.2, 0.3])
    chosen = place(torch.randn(100_000, generator=torch.Generator().manual_seed(0)), weights)
    assert torch.allclose(torch.bincount(chosen, minlength=4) / 100_000, weights, atol=0.01)
    assert place(torch.tensor([-40.0, 40.0]), weights).tolist() == [0, 3]


def test_more_components_than_examples_are_no_obstacle() -> None:
    x, model = ring(10), MPPCA((2,), components=16)
    for _ in range(5):
        model.fit(x, None)
    assert model.log_prob(x).isfinite().all()


def test_as_many_factors_as_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="factors=2 of data of 2 dimensions: allowed are 0 to 1"):
        MPPCA((2,), factors=2)
