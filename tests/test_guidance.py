"""Guidance, held to Bayes' rule on mixtures whose every conditional is known in closed form."""

from typing import Any

import pytest
import torch
from mixtures import CENTRES, Flow, Posterior, classifier, mixture
from torch import Tensor, nn

from genzoo.capabilities import (
    Denoiser,
    NoisePredictor,
    NoisyScore,
    Velocity,
    as_noisy_score,
    as_score,
    offers,
    supports,
)
from genzoo.errors import InvalidConfig, MissingCapability
from genzoo.guidance import Guidance, Guided, check, condition, steered
from genzoo.testing import GaussianReference, MixtureReference
from genzoo.testing.closed_forms import Only

__all__ = ["classifier", "mixture"]


X = 1.5 * torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(9) % 3
SIGMAS = [torch.tensor(0.4, dtype=torch.float64), torch.linspace(0.05, 8, 9, dtype=torch.float64)]


def close(a: Tensor, b: Tensor, tolerance: float = 1e-9) -> bool:
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


# Without a classifier


@pytest.mark.parametrize("sigma", SIGMAS, ids=["one", "per-row"])
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_the_guided_score_is_that_of_the_class_raised_to_a_power(mixture: Flow, sigma: Tensor, weight: float) -> None:
    """grad log p(x; sigma) p(y | x; sigma)^w, by automatic differentiation of the closed form."""
    x = X.clone().requires_grad_()
    log_joint = mixture._blurred(x, sigma)[2]
    posterior = log_joint.log_softmax(1).gather(1, LABELS[:, None]).squeeze(1)
    (wanted,) = torch.autograd.grad((log_joint.logsumexp(1) + weight * posterior).sum(), x)
    guided = condition(mixture, LABELS, Guidance(weight))
    assert close(guided.noisy_score(X, sigma), wanted)
    assert close(as_noisy_score(Only(guided, "denoise", "sigma_min", "sigma_max")).noisy_score(X, sigma), wanted, 1e-6)


@pytest.mark.parametrize("weight", [0.0, 1.0, 3.0])
def test_the_guided_energy_is_the_model_times_its_opinion_of_the_class(mixture: Flow, weight: float) -> None:
    log_joint = mixture._blurred(X, torch.zeros((), dtype=torch.float64))[2]
    log_p, log_posterior = log_joint.logsumexp(1), log_joint.log_softmax(1)
    guided = condition(mixture, torch.zeros(9, dtype=torch.long), Guidance(weight))
    constant = guided.energy(X) + log_p + weight * log_posterior[:, 0]
    assert close(constant, constant[:1].expand(9))
    assert as_score(guided).score(X).shape == X.shape


def test_a_weight_of_one_is_the_conditional_model_and_none_that_without_labels(mixture: Flow) -> None:
    t = torch.tensor(0.3, dtype=torch.float64)
    for method, argument in (("predict", torch.arange(9) * 100), ("velocity", t), ("denoise", SIGMAS[0])):
        one, zero = (getattr(condition(mixture, LABELS, Guidance(w)), method)(X, argument) for w in (1.0, 0.0))
        assert close(one, getattr(mixture.given(LABELS), method)(X, argument))
        assert close(zero, getattr(mixture, method)(X, argument))


def test_it_has_what_is_linear_in_the_score_and_nothing_else(mixture: Flow) -> None:
    guided = Guided(mixture, LABELS, 2.0)
    kept = {"Energy", "Score", "Denoiser", "NoisyScore", "NoisePredictor", "LearnedVariance", "Velocity"}
    assert set(offers(guided)) == kept
    assert guided.shape == (2,) and guided.sigma_max == mixture.sigma_max


def test_a_method_of_nobody_s_that_takes_labels_is_guided_too() -> None:
    class Flown(nn.Module):
        shape, num_classes = (2,), 3

        def drift(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
            return x if labels is None else x + labels[:, None]

        def given(self, labels: Tensor) -> Any:
            from genzoo.capabilities import Given

            return Given(self, labels)

    assert close(Guided(Flown(), LABELS, 2.0).drift(X), X + 2 * LABELS[:, None])


def test_the_variance_is_the_conditional_model_s(mixture: Flow) -> None:
    timestep = torch.arange(9) * 100
    noise, width = condition(mixture, LABELS, Guidance(2.0)).predict_with_variance(X, timestep)
    assert close(noise, condition(mixture, LABELS, Guidance(2.0)).predict(X, timestep))
    assert torch.equal(width, mixture.given(LABELS).predict_with_variance(X, timestep)[1])


# By a classifier


def unconditional(mixture: Flow, *members: str) -> Only:
    return Only(mixture, *members)


@pytest.mark.parametrize("sigma", SIGMAS, ids=["one", "per-row"])
@pytest.mark.parametrize("members", [("noisy_score",), ("denoise",)])
def test_an_exact_classifier_makes_the_conditional_score(
    mixture: Flow, classifier: Posterior, members: tuple[str, ...], sigma: Tensor
) -> None:
    model = unconditional(mixture, *members, "sigma_min", "sigma_max")
    found = condition(model, LABELS, Guidance(1.0, classifier)).noisy_score(X, sigma)
    assert close(found, mixture.given(LABELS).noisy_score(X, sigma), 1e-6)


def test_it_does_so_of_noise_at_whole_and_broken_timesteps(mixture: Flow, classifier: Posterior) -> None:
    model = unconditional(mixture, "predict", "betas")
    guided = condition(model, LABELS, Guidance(1.0, classifier))
    for timestep in (torch.arange(9) * 100, torch.arange(9) * 110 + 0.5, torch.tensor(0), torch.tensor(999)):
        assert close(guided.predict(X, timestep), mixture.given(LABELS).predict(X, timestep), 1e-6)
    assert supports(guided, (NoisePredictor, NoisyScore, Denoiser)) and not supports(guided, (Velocity,))


def test_it_does_so_of_velocities_and_leaves_pure_noise_alone(mixture: Flow, classifier: Posterior) -> None:
    model = unconditional(mixture, "velocity", "denoise", "sigma_min", "sigma_max")
    guided = condition(model, LABELS, Guidance(1.0, classifier))
    for t in (torch.tensor(0.02), torch.tensor(0.5), torch.linspace(0.1, 0.97, 9)):
        t = t.double()
        assert close(guided.velocity(X, t), mixture.given(LABELS).velocity(X, t), 1e-6)
    nothing = torch.zeros((), dtype=torch.float64)
    assert torch.equal(guided.velocity(X, nothing), mixture.velocity(X, nothing))  # beyond what it sees


def test_the_variance_is_left_as_it_is(mixture: Flow, classifier: Posterior) -> None:
    model = unconditional(mixture, "predict", "betas", "predict_with_variance")
    noise, width = condition(model, LABELS, Guidance(1.0, classifier)).predict_with_variance(X, torch.arange(9))
    assert close(noise, mixture.given(LABELS).predict(X, torch.arange(9)), 1e-6)
    assert torch.equal(width, mixture.predict_with_variance(X, torch.arange(9))[1])


def test_a_conditional_model_is_given_its_labels_too(mixture: Flow, classifier: Posterior) -> None:
    sigma, weight = SIGMAS[0], 0.5
    found = condition(mixture, LABELS, Guidance(weight, classifier)).noisy_score(X, sigma)
    pull = mixture.given(LABELS).noisy_score(X, sigma) - mixture.noisy_score(X, sigma)
    assert close(found, mixture.given(LABELS).noisy_score(X, sigma) + weight * pull)


def test_below_its_least_noise_a_classifier_is_asked_there(mixture: Flow, classifier: Posterior) -> None:
    classifier.sigma_min = 0.5
    low, least = torch.tensor(0.1, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    guided = steered(mixture, classifier, LABELS, 1.0)
    pulls = [guided.noisy_score(X, sigma) - mixture.noisy_score(X, sigma) for sigma in (low, least)]
    assert close(*pulls)


# Refused


UNGUIDED = "gaussian was trained without labels, guidance=2 has nothing to follow: train it with conditional=true"


def test_an_unconditional_model_is_not_guided_by_itself() -> None:
    model = GaussianReference(torch.zeros(2))
    with pytest.raises(InvalidConfig, match=UNGUIDED) as caught:
        check(model, Guidance(2.0), (NoisyScore,), model_name="gaussian", by="walk")
    assert caught.value.status == 2 and "\n" not in str(caught.value)
    check(model, None, (NoisyScore,), model_name="gaussian", by="walk")


def test_what_guidance_says_nothing_of_is_not_drawn(mixture: Flow, classifier: Posterior) -> None:
    from genzoo.capabilities import Decoder, Density, Score

    for guidance, need in ((Guidance(2.0), Density), (Guidance(2.0), Decoder), (Guidance(2.0, classifier), Score)):
        with pytest.raises(MissingCapability, match=f"mixture with guidance offers .*; walk needs {need.__name__}"):
            check(mixture, guidance, (need,), model_name="mixture", by="walk")


def test_a_classifier_of_something_else_is_refused(mixture: Flow, classifier: Posterior) -> None:
    def refusal(model: Any, judge: Any, kind: type[Exception] = InvalidConfig) -> str:
        with pytest.raises(kind) as caught:
            check(model, Guidance(1.0, judge), (NoisyScore,), model_name="mixture", by="walk")
        return str(caught.value)

    images = Posterior(MixtureReference(torch.zeros(3, 1, 4, 4), 1.0))
    assert refusal(mixture, images) == "the classifier sees (1, 4, 4), the model makes (2,)"
    two = Posterior(MixtureReference(CENTRES[:2], 1.0))
    assert refusal(mixture, two).startswith("the classifier tells 2 classes, the model has 3: take one")
    assert "the classifier offers" in refusal(mixture, GaussianReference(torch.zeros(2)), MissingCapability)
    energy = Only(mixture, "energy")
    assert "guidance by a classifier needs NoisyScore" in refusal(energy, classifier, MissingCapability)
