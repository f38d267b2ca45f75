"""Drawing under guidance: where samples go, and what is counted and needed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from mixtures import CENTRES, Flow, Posterior, classifier, mixture
from torch import Generator, Tensor, nn

from genzoo.capabilities import NoisyClassifier, NoisyScore, as_noisy_score, expand
from genzoo.guidance import Guidance
from genzoo.sampling import draw, needed_parameters
from genzoo.testing import MixtureReference
from genzoo.testing.closed_forms import Only

__all__ = ["classifier", "mixture"]


@dataclass(frozen=True)
class Walk:
    """The reverse of the blurring, in 60 steps of Euler from sigma 20 to 0.02."""

    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        sigmas = torch.logspace(1.3, -1.7, 61)
        x = sigmas[0] * torch.randn((n, 2), generator=generator)
        for sigma, lower in itertools.pairwise(sigmas):
            x = x + (sigma - lower) * sigma * as_noisy_score(model).noisy_score(x, sigma)
            yield x


def test_both_halves_of_guidance_are_counted(mixture: Flow, classifier: Posterior) -> None:
    single = MixtureReference(CENTRES.float(), 0.3**2)
    judge = Posterior(single)
    assert draw(Walk(), single, 30, seed=0).calls_per_sample == 60
    assert draw(Walk(), single, 30, seed=0, guidance=Guidance(2.0)).calls_per_sample == 120
    assert draw(Walk(), single, 30, seed=0, guidance=Guidance(2.0, judge)).calls_per_sample == 120


def test_guidance_sends_samples_farther_into_their_class() -> None:
    mixture = MixtureReference(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), 0.6**2)
    plain = draw(Walk(), mixture, 2000, seed=0)
    strong = draw(Walk(), mixture, 2000, seed=0, guidance=Guidance(4.0))
    side = 1 - 2 * (torch.arange(2000) % 2)
    assert (side * plain.x[:, 0] > 0).float().mean() == pytest.approx(0.952, abs=0.02)  # Phi(1 / 0.6)
    assert (side * strong.x[:, 0] > 0).float().mean() > 0.995


def test_an_unconditional_model_and_a_classifier_are_drawn_in_the_classifier_s_classes() -> None:
    mixture = MixtureReference(torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), 0.1)
    blind = Only(mixture, "noisy_score", "sigma_min", "sigma_max")
    samples = draw(Walk(), blind, 40, seed=0, guidance=Guidance(1.0, Posterior(mixture)))
    assert samples.labels is not None and samples.labels.tolist() == [0, 1] * 20
    assert (samples.x[0::2, 0] > 1).all() and (samples.x[1::2, 0] < -1).all()


def test_the_classifier_s_weights_are_needed_too() -> None:
    class Net(nn.Module, NoisyScore):
        shape, sigma_min, sigma_max = (2,), 0.01, 50.0

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(2, 2)

        def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
            return -self.net(x) / (1 + expand(sigma, x) ** 2)

    class Judge(nn.Module, NoisyClassifier):
        shape, sigma_min, sigma_max, num_classes = (2,), 0.01, 50.0, 3

        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(2, 3)

        def log_class_probs(self, x: Tensor, sigma: Tensor) -> Tensor:
            return self.net(x).log_softmax(1)

    torch.manual_seed(0)
    net, guidance = Net(), Guidance(1.0, Judge())
    samples = draw(Walk(), net, 5, seed=0, guidance=guidance)
    assert samples.parameters == needed_parameters(Walk(), net, guidance) == 6 + 9
    assert draw(Walk(), net, 5, seed=0).parameters == 6
    assert samples.flops_per_sample == 60 * (2 * 4 + 2 * 6 + 2 * 6)  # the net, the judge, and its gradient
