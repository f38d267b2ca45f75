import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genzoo.capabilities import as_score, expand, offers
from genzoo.protocols import Model
from genzoo.testing import GaussianReference, MixtureReference

MEAN = torch.tensor([0.5, -0.3], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.5, 0.2], [0.2, 0.3]], dtype=torch.float64)
CENTRES = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def distribution(centres, covariance):
    """The same mixture by torch.distributions."""
    parts = MultivariateNormal(centres, covariance.expand(len(centres), 2, 2))
    return MixtureSameFamily(Categorical(torch.ones(len(centres))), parts)


REFERENCES = {
    "gaussian": (GaussianReference(MEAN, COVARIANCE), MEAN[None], COVARIANCE),
    "mixture": (MixtureReference(CENTRES, 0.3**2), CENTRES, 0.3**2 * torch.eye(2, dtype=torch.float64)),
}
references = pytest.mark.parametrize(("model", "centres", "covariance"), REFERENCES.values(), ids=list(REFERENCES))


@references
class TestClosedForms:
    def test_the_density_is_exact(self, model, centres, covariance):
        expected = distribution(centres, covariance).log_prob(X)
        assert torch.allclose(model.log_prob(X), expected)
        assert torch.allclose(model.energy(X), -expected)
        assert torch.allclose(model.log_bound(X), expected)

    def test_the_score_is_the_gradient_of_the_log_density(self, model, centres, covariance):
        x = X.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(distribution(centres, covariance).log_prob(x).sum(), x)
        assert torch.allclose(model.score(X), gradient)

    def test_the_noisy_score_is_that_of_the_blurred_data(self, model, centres, covariance):
        for sigma in (0.1, 1.0, 30.0):
            blurred = type(model)(centres if len(centres) > 1 else centres[0], covariance + sigma**2 * torch.eye(2))
            assert torch.allclose(model.noisy_score(X, torch.tensor(sigma)), blurred.score(X))

    def test_the_denoiser_obeys_tweedie_s_formula(self, model, centres, covariance):
        sigma = torch.logspace(-2, 1, 6, dtype=torch.float64)
        expected = X + expand(sigma, X) ** 2 * model.noisy_score(X, sigma)
        assert torch.allclose(model.denoise(X, sigma), expected)

    def test_the_denoiser_is_the_posterior_mean(self, model, centres, covariance):
        """Of 200,000 draws, those whose noisy version falls near a point have the denoised point as their mean."""
        generator, sigma = torch.Generator().manual_seed(0), 0.5
        clean = model.sample(200_000, generator)
        noisy = clean + sigma * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
        at = centres[:1]
        near = (noisy - at).norm(dim=1) < 0.1
        error = clean[near].std(0).max() / near.sum() ** 0.5
        assert (clean[near].mean(0) - model.denoise(at, torch.tensor(sigma))).abs().max() < 4 * error + 0.01

    def test_the_noise_is_that_of_the_noisy_score(self, model, centres, covariance):
        abar = torch.cumprod(1 - model.betas, 0)
        t = torch.tensor([0, 10, 100, 500, 800, 999])
        sigma = torch.sqrt((1 - abar) / abar)[t]
        expected = -sigma[:, None] * model.noisy_score(X / abar[t].sqrt()[:, None], sigma)
        assert torch.allclose(model.predict(X, t), expected)
        assert torch.allclose(model.predict(X, t[1]), model.predict(X, t[1].expand(6)))

    def test_between_two_timesteps_the_noise_changes_steadily(self, model, centres, covariance):
        low, middle, high = (model.predict(X, torch.tensor(t)) for t in (100.0, 100.5, 101.0))
        assert torch.allclose(middle, (low + high) / 2, atol=1e-4)

    def test_draws_have_the_right_moments(self, model, centres, covariance):
        x = model.sample(100_000, torch.Generator().manual_seed(1))
        between = torch.cov(centres.T, correction=0) if len(centres) > 1 else torch.zeros(2, 2)
        assert torch.allclose(x.mean(0), centres.mean(0), atol=4 * 1.2 / math.sqrt(100_000))
        assert torch.allclose(torch.cov(x.T), covariance + between, atol=4 * 2 / math.sqrt(100_000))

    def test_it_computes_in_the_precision_of_its_centres(self, model, centres, covariance):
        single = type(model)((centres if len(centres) > 1 else centres[0]).float(), covariance.float())
        assert single.denoise(X.float(), torch.tensor(0.5)).dtype == torch.float32
        assert model.denoise(X, torch.tensor(0.5)).dtype == torch.float64

    def test_it_is_a_model(self, model, centres, covariance):
        assert isinstance(model, Model)
        assert model.shape == (2,)


def test_together_they_offer_every_capability_that_has_a_closed_form():
    both = {*offers(REFERENCES["gaussian"][0]), *offers(REFERENCES["mixture"][0])}
    assert both == {
        "Energy", "Density", "LowerBound", "Score", "Denoiser", "NoisyScore", "NoisePredictor", "Decoder", "Encoder",
        "Conditional",
    }  # fmt: skip


def test_decoding_maps_the_standard_normal_to_the_gaussian_and_encoding_maps_it_back():
    model = REFERENCES["gaussian"][0]
    z = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = model.decode(z)
    assert torch.allclose(torch.cov(x.T), COVARIANCE, atol=0.01)
    assert torch.allclose(model.encode(x), z)


def test_images_are_as_good_as_points():
    model = GaussianReference(torch.full((3, 4, 5), 0.2), 0.1**2)
    x = model.sample(7, torch.Generator().manual_seed(0))
    assert (
        x.shape == model.denoise(x, torch.tensor(0.3)).shape == model.predict(x, torch.arange(7)).shape == (7, 3, 4, 5)
    )
    expected = torch.distributions.Normal(0.2, 0.1).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(model.log_prob(x), expected, rtol=1e-4)


def test_a_label_is_the_number_of_a_gaussian():
    model = REFERENCES["mixture"][0]
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    view = model.given(labels)
    assert torch.allclose(view.score(X), (CENTRES[labels] - X) / 0.3**2)
    expected = MultivariateNormal(CENTRES[labels], 0.3**2 * torch.eye(2, dtype=torch.float64)).log_prob(X)
    assert torch.allclose(view.log_prob(X), expected)


def test_its_energy_and_score_agree_by_automatic_differentiation():
    class EnergyOnly:
        shape = (2,)
        energy = staticmethod(REFERENCES["mixture"][0].energy)

    assert torch.allclose(as_score(EnergyOnly()).score(X), REFERENCES["mixture"][0].score(X))
