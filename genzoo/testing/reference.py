"""Closed-form models: what any sampler ought to draw from them is known exactly.

Both are mixtures of k equally likely Gaussians with one covariance C. Blurring the data by sigma adds sigma^2 I to C,
so that every noise level is in closed form too::

    p(x; sigma)     = 1/k sum_i N(x; m_i, C + sigma^2 I)
    score(x; sigma) = sum_i r_i(x) (C + sigma^2 I)^-1 (m_i - x)          r_i: posterior probability of component i
    D(x; sigma)     = sum_i r_i(x) [m_i + C (C + sigma^2 I)^-1 (x - m_i)]
    eps(x_t, t)     = -sigma_t score(x_t / sqrt(abar_t); sigma_t)

Everything is computed in the eigenbasis of C, in the precision of the centres: float64 centres make a float64 model.
"""

import math
from typing import ClassVar, Literal, Self

import torch
from torch import Generator, Tensor, nn

from genzoo.capabilities import (
    Conditional,
    Decoder,
    Denoiser,
    Density,
    Encoder,
    Energy,
    LowerBound,
    NoisePredictor,
    NoisyScore,
    Score,
    expand,
)


class _Reference(nn.Module, Energy, Density, LowerBound, Score, Denoiser, NoisyScore, NoisePredictor):
    """k Gaussians with ``centres`` [k, *shape] and one ``covariance`` [d, d]; a number c stands for c I.

    Its noise process is DDPM's: betas from 1e-4 to 0.02 in 1000 steps.

    Reference: Denoising Diffusion Probabilistic Models (Ho et al., 2020), section 4.
    """

    trainer: ClassVar[str] = "maximum-likelihood"
    bounds: Literal["density", "mass"] = "density"
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    centres: Tensor
    covariance: Tensor
    variances: Tensor
    basis: Tensor
    weights: Tensor
    betas: Tensor

    def __init__(self, centres: Tensor, covariance: Tensor | float) -> None:
        super().__init__()
        self.shape = tuple(centres.shape[1:])
        k, d = len(centres), centres[0].numel()
        if not isinstance(covariance, Tensor):
            covariance = covariance * torch.eye(d, dtype=centres.dtype)
        variances, basis = torch.linalg.eigh(covariance)
        self.register_buffer("centres", centres.flatten(1))
        self.register_buffer("covariance", covariance)
        self.register_buffer("variances", variances)
        self.register_buffer("basis", basis)
        self.register_buffer("weights", torch.full((k,), 1 / k, dtype=centres.dtype))
        self.register_buffer("betas", torch.linspace(1e-4, 0.02, 1000, dtype=centres.dtype))

    def _blurred(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x - m_i in the eigenbasis [n, k, d], the blurred variances [n or 1, 1, d], log p(x, i; sigma) [n, k]."""
        offsets = (x.flatten(1)[:, None] - self.centres) @ self.basis
        variances = self.variances + sigma.to(x.dtype).reshape(-1, 1, 1) ** 2
        log_joint = -0.5 * (offsets**2 / variances + torch.log(2 * math.pi * variances)).sum(-1) + self.weights.log()
        return offsets, variances, log_joint

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log density, [n], in nats."""
        return torch.logsumexp(self._blurred(x, x.new_zeros(()))[2], dim=1)

    def energy(self, x: Tensor) -> Tensor:
        """-log p(x), [n], in nats."""
        return -self.log_prob(x)

    def log_bound(self, x: Tensor) -> Tensor:
        """The tightest lower bound, log p(x) itself, [n], in nats."""
        return self.log_prob(x)

    def score(self, x: Tensor) -> Tensor:
        """The score of the data itself, [n, *shape]."""
        return self.noisy_score(x, x.new_zeros(()))

    def noisy_score(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The score of the data blurred by sigma, [n, *shape]."""
        offsets, variances, log_joint = self._blurred(x, sigma)
        pulls = -(offsets / variances) @ self.basis.T
        return (log_joint.softmax(1)[..., None] * pulls).sum(1).view_as(x)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The posterior mean of the clean data, [n, *shape]."""
        offsets, variances, log_joint = self._blurred(x, sigma)
        means = self.centres + (offsets * self.variances / variances) @ self.basis.T
        return (log_joint.softmax(1)[..., None] * means).sum(1).view_as(x)

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """The posterior mean of the noise in x_t, [n, *shape]; linear in log sigma between whole timesteps."""
        log_abar = torch.log1p(-self.betas).cumsum(0)
        log_sigmas = 0.5 * torch.expm1(-log_abar).log()  # sigma^2 = (1 - abar) / abar
        t = timestep.to(x_t.device, x_t.dtype)
        low = t.long().clamp(0, len(log_sigmas) - 2)
        sigma = torch.lerp(log_sigmas[low], log_sigmas[low + 1], t - low).exp()
        scale = expand(sigma, x_t)
        return -scale * self.noisy_score(x_t * torch.sqrt(1 + scale**2), sigma)

    def sample(self, n: int, generator: Generator) -> Tensor:
        """Exact draws, [n, *shape]."""
        labels = torch.multinomial(self.weights.float(), n, replacement=True, generator=generator)
        return (self.centres[labels] + self._noise(n, generator)).view(n, *self.shape)

    def _noise(self, n: int, generator: Generator) -> Tensor:
        z = torch.randn(n, len(self.variances), generator=generator, device=generator.device, dtype=self.centres.dtype)
        return z * self.variances.sqrt() @ self.basis.T


class GaussianReference(_Reference, Encoder, Decoder):
    """N(mean, C): ``mean`` [*shape], ``covariance`` [d, d] or a number c for c I."""

    sampler: ClassVar[str] = "decode"

    def __init__(self, mean: Tensor, covariance: Tensor | float = 1.0) -> None:
        super().__init__(mean[None], covariance)
        self.latent_shape = self.shape

    def decode(self, z: Tensor) -> Tensor:
        """x = mean + V sqrt(L) z, with C = V L V^T, [n, *shape]."""
        return (self.centres + z.flatten(1) * self.variances.sqrt() @ self.basis.T).view_as(z)

    def encode(self, x: Tensor) -> Tensor:
        """The inverse of :meth:`decode`."""
        return ((x.flatten(1) - self.centres) @ self.basis / self.variances.sqrt()).view_as(x)


class MixtureReference(_Reference, Conditional):
    """k equally likely Gaussians: ``centres`` [k, *shape], one ``covariance`` [d, d] or a number c for c I.

    The label of an example is the number of its Gaussian.
    """

    sampler: ClassVar[str] = "langevin"

    def __init__(self, centres: Tensor, covariance: Tensor | float) -> None:
        super().__init__(centres, covariance)
        self.num_classes = len(centres)

    def given(self, labels: Tensor) -> Self:
        """The mixture with all the weight on one Gaussian per row: a model of exactly ``len(labels)`` rows."""
        view = type(self)(self.centres.view(-1, *self.shape), self.covariance)
        view.weights = torch.nn.functional.one_hot(labels, self.num_classes).to(self.centres)
        return view
