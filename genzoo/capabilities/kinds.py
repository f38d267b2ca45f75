"""What a model can compute, one protocol for each; see :mod:`genzoo.capabilities` for the units."""

from abc import abstractmethod
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Energy(Protocol):
    """E(x) = -log p(x) + constant, of the data itself."""

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """E(x), [n], in nats."""


@runtime_checkable
class Density(Protocol):
    """log p(x), exact and normalised, of continuous x."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), [n], in nats."""


@runtime_checkable
class Mass(Protocol):
    """log P(image), exact, of images with integer levels."""

    @abstractmethod
    def log_mass(self, x: Tensor) -> Tensor:
        """log P(x), [n], in nats, of x in [-1, 1] that lies on the data's levels."""


@runtime_checkable
class LowerBound(Protocol):
    """A stochastic lower bound of a log-likelihood; ``bounds`` says whether of a ``"density"`` or a ``"mass"``."""

    bounds: Literal["density", "mass"]

    @abstractmethod
    def log_bound(self, x: Tensor) -> Tensor:
        """One unbiased draw of the bound, [n], in nats."""


@runtime_checkable
class ImportanceWeighted(Protocol):
    """A latent-variable model that draws z_i ~ q(z | x); ``bounds`` says whether p is a ``"density"`` or a ``"mass"``.

    log 1/k sum_i w_i is a lower bound of log p(x), in expectation, that rises to it with k.

    Reference: Importance Weighted Autoencoders (Burda et al., 2016).
    """

    bounds: Literal["density", "mass"]

    @abstractmethod
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        """log w_i = log p(x, z_i) - log q(z_i | x) of k independent draws, [k, n], in nats."""


@runtime_checkable
class Score(Protocol):
    """The gradient of log p, of the data itself."""

    @abstractmethod
    def score(self, x: Tensor) -> Tensor:
        """grad_x log p(x), [n, *shape]."""


@runtime_checkable
class Denoiser(Protocol):
    """D(x; sigma) = E[x0 | x = x0 + sigma * noise], for sigma_min <= sigma <= sigma_max."""

    sigma_min: float
    sigma_max: float

    @abstractmethod
    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The posterior mean of the clean data, [n, *shape]."""


@runtime_checkable
class NoisyScore(Protocol):
    """The score of the data blurred by sigma: grad_x log p(x; sigma) = (D(x; sigma) - x) / sigma^2."""

    sigma_min: float
    sigma_max: float

    @abstractmethod
    def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """grad_x log p(x; sigma), [n, *shape]."""


@runtime_checkable
class NoisePredictor(Protocol):
    """eps(x_t, t) of the variance-preserving process x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps.

    ``betas`` [T] defines the process, abar_t = prod_{s <= t} (1 - beta_s); diffusers' schedulers take it as
    ``trained_betas``.
    """

    betas: Tensor

    @abstractmethod
    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """The noise in x_t, [n, *shape]; ``timestep`` [] or [n] in [0, T - 1], fractions allowed."""


@runtime_checkable
class Decoder(Protocol):
    """A map from a standard normal latent to the data."""

    latent_shape: tuple[int, ...]

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """x = g(z), [n, *shape], of z [n, *latent_shape]."""


@runtime_checkable
class Encoder(Protocol):
    """A map from the data to the latent."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """z, [n, *latent_shape]."""


@runtime_checkable
class Critic(Protocol):
    """A judge of real (positive) against generated (negative)."""

    @abstractmethod
    def discriminate(self, x: Tensor) -> Tensor:
        """Logits, [n]."""


@runtime_checkable
class Conditional(Protocol):
    """A model of p(x | label); ``given`` returns a view with the same capabilities."""

    num_classes: int

    @abstractmethod
    def given(self, labels: Tensor) -> Any:
        """The model conditioned on one label per row, [n]."""


@runtime_checkable
class NoisyClassifier(Protocol):
    """log p(y | x; sigma) of x = x0 + sigma * noise, for sigma_min <= sigma <= sigma_max: what guides a noisy score.

    Reference: Diffusion Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021).
    """

    num_classes: int
    sigma_min: float
    sigma_max: float

    @abstractmethod
    def log_class_probs(self, x: Tensor, sigma: Tensor) -> Tensor:
        """log p(y | x; sigma) of every class y, [n, num_classes], in nats."""


@runtime_checkable
class LearnedVariance(Protocol):
    """A NoisePredictor that also says how widely each step of the reverse process spreads.

    The variance is exp(w log beta + (1 - w) log beta-tilde), whatever steps are taken.

    Reference: Improved Denoising Diffusion Probabilistic Models (Nichol and Dhariwal, 2021), equation 15.
    """

    betas: Tensor

    @abstractmethod
    def predict_with_variance(self, x_t: Tensor, timestep: Tensor) -> tuple[Tensor, Tensor]:
        """The noise in x_t as ``predict`` says it, and w; both [n, *shape]."""


@runtime_checkable
class Velocity(Protocol):
    """v(x_t, t) = E[x_1 - x_0 | x_t] of x_t = (1 - t) x_0 + t x_1, from noise at t = 0 to data at t = 1.

    Reference: Flow Matching for Generative Modeling (Lipman et al., 2023).
    """

    @abstractmethod
    def velocity(self, x_t: Tensor, t: Tensor) -> Tensor:
        """dx/dt, [n, *shape]; ``t`` [] or [n] in [0, 1]."""


CAPABILITIES: tuple[type, ...] = (
    Energy, Density, Mass, LowerBound, ImportanceWeighted, Score, Denoiser, NoisyScore, NoisePredictor, Decoder,
    Encoder, Critic, Conditional, NoisyClassifier, LearnedVariance, Velocity,
)  # fmt: skip
