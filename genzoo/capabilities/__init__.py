"""What a model can compute, as runtime-checkable protocols, and the conversions between them.

``x`` is [n, *shape]: images in [-1, 1], points at unit scale. ``sigma`` is the standard deviation of the noise in the
units of ``x``, shape [] or [n]; a variance-preserving model maps itself (x = x_t / sqrt(abar),
sigma = sqrt((1 - abar) / abar)). The set is open: a plugin may define a protocol of its own and name it in ``needs``.

The conversions go one way where the mathematics does::

    Density -> Energy -> Score          NoisePredictor -> NoisyScore <-> Denoiser

``Score`` (of the data itself) and ``NoisyScore`` (of the data blurred by sigma) are different things: an energy-based
model gets no probability-flow ODE for free. :func:`blurred` fixes one noise level and so makes a Score of a NoisyScore.
"""

from genzoo.capabilities.conditional import Given, check_labels, known_classes, labelled, takes_labels
from genzoo.capabilities.conversions import (
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
from genzoo.capabilities.kinds import (
    CAPABILITIES,
    Conditional,
    Critic,
    Decoder,
    Denoiser,
    Density,
    Encoder,
    Energy,
    ImportanceWeighted,
    LearnedVariance,
    LowerBound,
    Mass,
    NoisePredictor,
    NoisyClassifier,
    NoisyScore,
    Score,
    Velocity,
)
from genzoo.capabilities.noise import log_sigma_at, log_sigmas

__all__ = [
    "CAPABILITIES",
    "Conditional",
    "Critic",
    "Decoder",
    "Denoiser",
    "Density",
    "Encoder",
    "Energy",
    "Given",
    "ImportanceWeighted",
    "LearnedVariance",
    "LowerBound",
    "Mass",
    "NoisePredictor",
    "NoisyClassifier",
    "NoisyScore",
    "Score",
    "Velocity",
    "as_denoiser",
    "as_energy",
    "as_noisy_score",
    "as_score",
    "blurred",
    "check_labels",
    "expand",
    "known_classes",
    "labelled",
    "log_sigma_at",
    "log_sigmas",
    "offers",
    "require",
    "supports",
    "takes_labels",
]
