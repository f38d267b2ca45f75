"""A mixture for tests of guidance whose every conditional is known, and what Bayes says of its classes."""

import pytest
import torch
from torch import Tensor, nn

from genzoo.capabilities import LearnedVariance, NoisyClassifier, Velocity, expand
from genzoo.testing import MixtureReference

CENTRES = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.0, -1.0]], dtype=torch.float64)


class Flow(MixtureReference, Velocity, LearnedVariance):
    """A mixture with a velocity, and with a variance that knows its class."""

    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        """E[x_1 - x_0 | x_t]: (D - x_t) / (1 - t), and at t = 0 the mean of the data less the noise."""
        later = t.clamp(min=1e-9)
        clean = self.denoise(x_t / expand(later, x_t), (1 - later) / later)
        return (clean - x_t) / expand(1 - t, x_t)

    def predict_with_variance(self, x_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        return self.predict(x_t, timestep), self.weights.expand(len(x_t), -1)[:, :2]


class Posterior(nn.Module, NoisyClassifier):
    """What Bayes says of the mixture: log p(y | x; sigma), exactly."""

    sigma_min, sigma_max = 1e-3, 1000.0
    trainer = sampler = ""

    def __init__(self, mixture: MixtureReference) -> None:
        super().__init__()
        self.mixture, self.shape, self.num_classes = mixture, mixture.shape, mixture.num_classes

    def log_class_probs(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self.mixture._blurred(x, sigma)[2].log_softmax(1)


@pytest.fixture
def mixture() -> Flow:
    return Flow(CENTRES, 0.3**2)


@pytest.fixture
def classifier(mixture: Flow) -> Posterior:
    return Posterior(mixture)
