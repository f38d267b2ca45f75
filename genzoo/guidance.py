"""Samples of a class: what a model is told of labels, and how strongly it is made to follow them.

Guidance raises the class in p(x) p(y | x)^w. Without a classifier, Bayes' rule gives the model's own opinion of
log p(y | x), the conditional score less the unconditional one; every output that is linear in the score (noise, clean
data, velocity, energy) is then::

    f_w(x) = f(x) + w (f(x, y) - f(x))

A classifier of noisy data adds the gradient of what it says::

    score_w(x; sigma) = score(x; sigma) + w grad_x log p(y | x; sigma)

References: Classifier-Free Diffusion Guidance (Ho and Salimans, 2022), equation 6; Diffusion Models Beat GANs on Image
Synthesis (Dhariwal and Nichol, 2021), section 4; Compositional Visual Generation with Energy Based Models (Du et al.,
2020), for energies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import get_protocol_members

from genzoo.capabilities import (
    CAPABILITIES,
    Conditional,
    Critic,
    Decoder,
    Density,
    Encoder,
    ImportanceWeighted,
    LearnedVariance,
    LowerBound,
    Mass,
    NoisePredictor,
    NoisyClassifier,
    NoisyScore,
    Velocity,
    as_noisy_score,
    check_labels,
    expand,
    log_sigma_at,
    log_sigmas,
    require,
    supports,
    takes_labels,
)
from genzoo.errors import InvalidConfig, MissingCapability

_NOT_LINEAR = (Density, Mass, LowerBound, ImportanceWeighted, Decoder, Encoder, Critic, Conditional)
_HIDDEN = frozenset().union(*map(get_protocol_members, _NOT_LINEAR))
_KNOWN = frozenset().union(*map(get_protocol_members, CAPABILITIES)) - _HIDDEN


@dataclass(frozen=True)
class Guidance:
    """w, and the classifier that says where the class lies; None is the conditional model itself."""

    weight: float
    classifier: Any | None = None


def condition(model: Any, labels: Tensor, guidance: Guidance | None = None) -> Any:
    """The model given one label a row, as a model of exactly so many rows; :func:`check` says what it takes."""
    if guidance is None:
        return model.given(labels)
    if guidance.classifier is None:
        return Guided(model, labels, guidance.weight)
    given = model.given(labels) if supports(model, (Conditional,)) else model
    return steered(given, guidance.classifier, labels, guidance.weight)


def check(model: Any, guidance: Guidance | None, needs: tuple[type, ...], *, model_name: str, by: str) -> None:
    """Raise unless the model can be guided so, and then still offers what the sampler ``by`` needs.

    Raises:
        InvalidConfig: an unconditional model without a classifier, or a classifier of other classes or another shape.
        MissingCapability: the sampler needs what cannot be guided, such as a decoder's output.
    """
    if guidance is None:
        return
    conditional, classifier = supports(model, (Conditional,)), guidance.classifier
    if classifier is None and not conditional:
        raise InvalidConfig(
            f"{model_name} was trained without labels, guidance={guidance.weight:g} has nothing to follow: train it "
            "with conditional=true (if it has that option), or give a classifier"
        )
    _check_linear(needs, model_name=model_name, by=by)
    if classifier is not None:
        require(model, (NoisyScore,), model_name=model_name, by="guidance by a classifier")
        _check_classifier(classifier, model, conditional)
    guided = condition(model, torch.zeros(1, dtype=torch.long), guidance)
    require(guided, needs, model_name=f"{model_name} with guidance", by=by)


def _check_linear(needs: Sequence[type], *, model_name: str, by: str) -> None:
    """What a plugin's own protocol gives need not be linear in the score."""
    foreign = [need.__name__ for need in needs if need not in CAPABILITIES]
    if foreign:
        told = f"{model_name} with guidance: {by} needs {', '.join(foreign)}, which cannot be guided"
        raise MissingCapability(f"{told}: leave out guidance, or take another sampler")


def _check_classifier(classifier: Any, model: Any, conditional: bool) -> None:
    require(classifier, (NoisyClassifier,), model_name="the classifier", by="guidance")
    if tuple(classifier.shape) != tuple(model.shape):
        raise InvalidConfig(f"the classifier sees {tuple(classifier.shape)}, the model makes {tuple(model.shape)}")
    if conditional and classifier.num_classes != model.num_classes:
        told = f"the classifier tells {classifier.num_classes} classes, the model has {model.num_classes}"
        raise InvalidConfig(f"{told}: take one that was trained on the same data")


class Guided:
    """f(x) + w (f(x, y) - f(x)) of every f that is linear in the score: two calls of the network for each.

    It has these capabilities of the model alone: neither a likelihood nor a decoder's output can be guided so.
    """

    def __init__(self, model: Any, labels: Tensor, weight: float) -> None:
        self._model, self._given, self._weight = model, model.given(labels), weight

    def __getattr__(self, name: str) -> Any:
        if name in _HIDDEN:
            raise AttributeError(f"guidance says nothing of {name!r}")
        free = getattr(self.__dict__["_model"], name)
        if callable(free) and (name in _KNOWN or takes_labels(free)):
            return self._combining(free, getattr(self._given, name))
        return free

    def _combining(self, free: Callable[..., Any], given: Callable[..., Any]) -> Callable[..., Any]:
        def call(x: Tensor, *args: Any, **named: Any) -> Any:
            with_label, without = given(x, *args, **named), free(x, *args, **named)
            if isinstance(with_label, tuple):  # what comes beside the noise is the conditional model's own
                return (self._combined(with_label[0], without[0]), *with_label[1:])
            return self._combined(with_label, without)

        return call

    def _combined(self, with_label: Tensor, without: Tensor) -> Tensor:
        return without + self._weight * (with_label - without)


class Steered(NoisyScore):
    """A noisy score that a classifier steers: one call of each for every one of it.

    Beyond the classifier's largest noise there is nothing to see, and no steering; below its least it is asked there.
    """

    def __init__(self, model: Any, classifier: Any, labels: Tensor, weight: float) -> None:
        check_labels(labels, classifier.num_classes)
        self._model, self._noisy, self._classifier = model, as_noisy_score(model), classifier
        self._labels, self._weight = labels, weight
        self.shape: tuple[int, ...] = model.shape
        self.sigma_min, self.sigma_max = self._noisy.sigma_min, self._noisy.sigma_max

    def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """score(x; sigma) + w grad_x log p(y | x; sigma), [n, *shape]."""
        return self._noisy.noisy_score(x, sigma) + self._pull(x, sigma)

    def _pull(self, x: Tensor, sigma: Tensor) -> Tensor:
        """w grad_x log p(y | x; sigma), [n, *shape]."""
        least, most = self._classifier.sigma_min, self._classifier.sigma_max
        seen = expand(sigma <= most, x)
        with torch.enable_grad():
            x = torch.where(seen > 0, x.detach(), 0.0).requires_grad_()
            log_probs = self._classifier.log_class_probs(x, sigma.to(x.dtype).clamp(least, most))
            (gradient,) = torch.autograd.grad(log_probs.gather(1, self._labels[:, None]).sum(), x)
        return self._weight * seen * gradient


class SteeredNoise(Steered, NoisePredictor):
    """The same of the noise in x_t = sqrt(abar_t) x, of which -sigma times the score is the estimate."""

    def __init__(self, model: Any, classifier: Any, labels: Tensor, weight: float) -> None:
        super().__init__(model, classifier, labels, weight)
        self.betas = model.betas
        self._log_sigmas = log_sigmas(model.betas)

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """eps(x_t, t) - w sigma_t grad_x log p(y | x; sigma_t), [n, *shape]."""
        return self._model.predict(x_t, timestep) - self._noise(x_t, timestep)

    def _noise(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        sigma = log_sigma_at(self._log_sigmas.to(x_t.device), timestep.to(x_t.device)).exp()
        scale = expand(sigma, x_t)
        return scale * self._pull(x_t * torch.sqrt(1 + scale**2), sigma)


class SteeredVariance(SteeredNoise, LearnedVariance):
    """The same with the variance that the model has learned, as it is."""

    def predict_with_variance(self, x_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """The noise as :meth:`predict` steers it, and the model's own w."""
        noise, width = self._model.predict_with_variance(x_t, timestep)
        return noise - self._noise(x_t, timestep), width


class SteeredFlow(Steered, Velocity):
    """The same of v = (D - x_t) / (1 - t), in which the denoised data D moves by sigma^2 of the score."""

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        """v(x_t, t) + w (1 - t) / t^2 grad_x log p(y | x; sigma) at x = x_t / t, sigma = (1 - t) / t, [n, *shape]."""
        later = t.clamp(min=1e-6)  # where there is nothing to see; at 0 there is no sigma
        sigma = (1 - later) / later
        pull = self._pull(x_t / expand(later, x_t), sigma)
        return self._model.velocity(x_t, t) + expand(sigma / later, x_t) * pull


_STEERED: tuple[tuple[type, type[Steered]], ...] = (
    (LearnedVariance, SteeredVariance),
    (NoisePredictor, SteeredNoise),
    (Velocity, SteeredFlow),
)


def steered(model: Any, classifier: Any, labels: Tensor, weight: float) -> Steered:
    """The model with whatever of noise, velocity and noisy score it has, steered."""
    kinds = (kind for capability, kind in _STEERED if supports(model, (capability,)))
    return next(kinds, Steered)(model, classifier, labels, weight)
