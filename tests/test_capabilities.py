from types import SimpleNamespace
from typing import Protocol, runtime_checkable

import pytest
import torch
from torch import nn

from genzoo.capabilities import (
    CAPABILITIES,
    Decoder,
    Denoiser,
    Density,
    Encoder,
    Energy,
    NoisyScore,
    Score,
    as_denoiser,
    as_energy,
    as_noisy_score,
    as_score,
    blurred,
    expand,
    offers,
    require,
    supports,
)
from genzoo.errors import MissingCapability
from genzoo.testing import GaussianReference, MixtureReference

CENTRES = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.0, -1.0]], dtype=torch.float64)
X = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def mixture():
    return MixtureReference(CENTRES, 0.3**2)


def only(model, *members):
    """The model stripped of everything but its shape and ``members``: an object that inherits from no protocol."""
    return SimpleNamespace(shape=model.shape, **{name: getattr(model, name) for name in members})


def close(a, b, tolerance=1e-10):
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


class TestConversions:
    def test_a_density_is_an_energy_of_the_opposite_sign(self, mixture):
        assert close(as_energy(only(mixture, "log_prob")).energy(X), -mixture.log_prob(X))

    @pytest.mark.parametrize("member", ["energy", "log_prob"])
    def test_an_energy_or_a_density_has_the_exact_score(self, mixture, member):
        assert close(as_score(only(mixture, member)).score(X), mixture.score(X))

    def test_the_score_of_an_energy_needs_no_gradient_mode_and_leaves_no_gradient(self):
        net = nn.Linear(2, 1)
        with torch.no_grad():
            score = as_score(SimpleNamespace(shape=(2,), energy=lambda x: net(x)[:, 0])).score(torch.ones(3, 2))
        assert close(score, -net.weight.detach().expand(3, 2), 1e-6)
        assert not score.requires_grad
        assert net.weight.grad is None

    @pytest.mark.parametrize("sigma", [torch.tensor(0.4), torch.linspace(0.01, 40, 9)], ids=["one", "per-row"])
    def test_denoiser_and_noisy_score_are_two_forms_of_one_thing(self, mixture, sigma):
        denoiser = only(mixture, "denoise", "sigma_min", "sigma_max")
        scorer = only(mixture, "noisy_score", "sigma_min", "sigma_max")
        assert close(as_noisy_score(denoiser).noisy_score(X, sigma), mixture.noisy_score(X, sigma))
        assert close(as_denoiser(scorer).denoise(X, sigma), mixture.denoise(X, sigma))

    def test_a_view_keeps_the_shape_and_the_range_of_noise(self, mixture):
        view = as_noisy_score(only(mixture, "denoise", "sigma_min", "sigma_max"))
        assert (view.shape, view.sigma_min, view.sigma_max) == ((2,), mixture.sigma_min, mixture.sigma_max)

    def test_a_noise_predictor_has_the_exact_noisy_score_at_every_sigma(self, mixture):
        scorer = as_noisy_score(only(mixture, "predict", "betas"))
        for sigma in torch.logspace(-1.9, 2, 40, dtype=torch.float64):  # between the steps of the process too
            x = X * sigma
            expected = mixture.noisy_score(x, sigma)
            assert (scorer.noisy_score(x, sigma) - expected).abs().max() * sigma < 1e-5

    def test_a_noise_predictor_is_a_denoiser(self, mixture):
        denoiser = as_denoiser(only(mixture, "predict", "betas"))
        sigma = torch.linspace(0.02, 5, 9, dtype=torch.float64)
        assert close(denoiser.denoise(X, sigma), mixture.denoise(X, sigma), 1e-5)

    def test_a_noise_predictor_is_asked_at_the_timestep_of_sigma(self, mixture):
        asked = []
        model = only(mixture, "betas")
        model.predict = lambda x_t, timestep: asked.append(timestep) or x_t
        abar = torch.cumprod(1 - mixture.betas, 0)
        timesteps = torch.tensor([0, 1, 500, 998, 999])
        scorer = as_noisy_score(model)
        scorer.noisy_score(X[:5], torch.sqrt((1 - abar) / abar)[timesteps])
        assert torch.allclose(asked[0], timesteps.float(), atol=1e-3)
        scorer.noisy_score(X[:2], torch.tensor([1e-9, 1e9]))
        assert asked[1].tolist() == [0.0, 999.0]  # never beyond the process

    def test_a_noise_predictor_s_range_is_that_of_its_process(self, mixture):
        scorer = as_noisy_score(only(mixture, "predict", "betas"))
        abar = torch.cumprod(1 - mixture.betas, 0)
        low, high = torch.sqrt((1 - abar) / abar)[[0, -1]].tolist()
        assert (scorer.sigma_min, scorer.sigma_max) == pytest.approx((low, high), rel=1e-5)

    def test_the_noise_is_not_found_by_differencing(self, mixture):
        """A bfloat16 network's rounding stays relative at sigma = 0.01, where (D - x) / sigma^2 loses every digit."""
        coarse = only(mixture, "betas")
        coarse.predict = lambda x_t, t: mixture.predict(x_t, t).bfloat16()
        sigma = torch.tensor(0.0101, dtype=torch.float64)
        error = as_noisy_score(coarse).noisy_score(X, sigma) - mixture.noisy_score(X, sigma)
        assert error.abs().max() < 0.01 * mixture.noisy_score(X, sigma).abs().max()

    def test_blurred_fixes_one_noise_level(self, mixture):
        view = blurred(only(mixture, "denoise", "sigma_min", "sigma_max"), 0.5)
        assert isinstance(view, Score)
        assert close(view.score(X), mixture.noisy_score(X, torch.tensor(0.5)))

    def test_a_model_that_has_the_capability_is_itself(self, mixture):
        for convert in (as_energy, as_score, as_denoiser, as_noisy_score):
            assert convert(mixture) is mixture


class TestOffers:
    def test_an_inherited_protocol_is_offered(self):
        assert offers(GaussianReference(torch.zeros(2))) == [
            "Energy", "Density", "LowerBound", "Score", "Denoiser", "NoisyScore", "NoisePredictor", "Decoder",
            "Encoder",
        ]  # fmt: skip

    def test_having_the_methods_is_enough(self):
        assert offers(SimpleNamespace(energy=len, encode=len)) == ["Energy", "Encoder"]

    def test_a_method_without_its_data_is_not(self):
        assert offers(SimpleNamespace(decode=len)) == []
        assert offers(SimpleNamespace(decode=len, latent_shape=(2,))) == ["Decoder"]

    def test_a_buffer_counts_as_data(self):
        class Predictor(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("betas", torch.full((10,), 0.1))

            def predict(self, x_t, timestep):
                return x_t

        assert offers(Predictor()) == ["NoisePredictor"]

    def test_a_proxy_offers_what_it_passes_on(self):
        class Proxy:
            def __init__(self, model):
                self._model = model

            def __getattr__(self, name):
                return getattr(self._model, name)

        mixture = MixtureReference(CENTRES, 0.1)
        assert offers(Proxy(mixture)) == offers(mixture)

    def test_a_forgotten_method_fails_at_construction(self):
        class Half(nn.Module, Encoder, Decoder):
            def encode(self, x):
                return x

        with pytest.raises(TypeError, match="decode"):
            Half()

    def test_every_capability_is_a_runtime_protocol(self):
        assert not any(isinstance(object(), capability) for capability in CAPABILITIES)


class TestRequire:
    def test_what_follows_by_conversion_is_supported_and_nothing_else(self):
        energy = SimpleNamespace(energy=len, shape=(2,))
        assert supports(energy, (Energy, Score))
        assert not supports(energy, (Density,))
        assert not supports(energy, (NoisyScore,))
        assert not supports(energy, (Score, Decoder))
        assert supports(energy, ())

    @pytest.mark.parametrize("need", [Score, Energy, Density, Denoiser])
    def test_a_noisy_score_is_no_score_of_the_data(self, need, mixture):
        noisy = only(mixture, "noisy_score", "sigma_min", "sigma_max")
        assert supports(noisy, (need,)) == (need is Denoiser)

    def test_the_message_names_both_sides_and_every_way_out(self):
        gan = SimpleNamespace(decode=len, latent_shape=(2,), discriminate=len)
        with pytest.raises(MissingCapability) as caught:
            require(gan, (Score,), model_name="gan", by="langevin")
        assert str(caught.value) == (
            "gan offers Decoder, Critic; langevin needs Score (or Energy, Density): "
            "'genzoo list --compatible' shows what goes together"
        )
        assert caught.value.status == 2

    def test_a_need_without_conversions_stands_alone(self):
        with pytest.raises(MissingCapability, match="the model offers nothing; this needs Encoder: "):
            require(object(), (Encoder,))

    def test_the_alternatives_follow_chains_of_conversions(self):
        with pytest.raises(MissingCapability, match=r"Denoiser \(or NoisyScore, NoisePredictor\)"):
            require(object(), (Denoiser,))

    def test_a_conversion_says_what_it_lacks(self):
        with pytest.raises(MissingCapability, match="Linear offers nothing; the conversion to Score needs Score"):
            as_score(nn.Linear(1, 1))

    def test_a_capability_of_a_plugin_s_own(self):
        @runtime_checkable
        class Juggler(Protocol):
            def juggle(self): ...

        assert supports(SimpleNamespace(juggle=len), (Juggler,))
        with pytest.raises(MissingCapability, match="needs Juggler: "):
            require(object(), (Juggler,))

    def test_a_class_as_a_need(self):
        assert supports(nn.Linear(1, 1), (nn.Linear,))
        assert not supports(nn.ReLU(), (nn.Linear,))


def test_noise_predictors_come_before_denoisers_on_the_way_to_a_noisy_score(mixture):
    both = only(mixture, "predict", "betas", "denoise", "sigma_min", "sigma_max")
    both.predict = lambda x_t, timestep: torch.zeros_like(x_t)
    assert as_noisy_score(both).noisy_score(X, torch.tensor(1.0)).abs().max() == 0


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_expand_broadcasts_over_the_data(shape):
    x = torch.ones(3, *shape, dtype=torch.float64)
    product = expand(torch.tensor([1.0, 2.0, 3.0]), x) * x
    assert product.flatten(1)[:, 0].tolist() == [1, 2, 3]
    assert product.dtype == torch.float64
    assert (expand(torch.tensor(2.0), x) * x).eq(2).all()
