"""Closed-form models of every kind of likelihood: a uniform one, a linear latent-variable one, and parts of any."""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.special import log_ndtr

from genzoo.capabilities import (
    Denoiser,
    Density,
    Encoder,
    Energy,
    ImportanceWeighted,
    LowerBound,
    Mass,
    NoisePredictor,
    expand,
)


class Only(nn.Module):
    """A model stripped to its shape and the named members: what remains when a plugin offers no more."""

    def __init__(self, model: Any, *members: str) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = model.shape
        for name in members:
            object.__setattr__(self, name, getattr(model, name))


class LinearVAE(nn.Module, Density, LowerBound, ImportanceWeighted, Encoder):
    """p(z) = N(0, I), p(x | z) = N(W z + m, s^2 I): so p(x) = N(m, W W^T + s^2 I).

    The posterior has the precision M = W^T W / s^2 + I and the mean M^-1 W^T (x - m) / s^2. The model's q has that mean
    and the independent coordinates nearest to it, of the variances 1 / M_ii, so its bound falls short of log p(x) by
    ``gap`` = (sum_i log M_ii - log det M) / 2, for every x.

    Reference: Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), section 3.

    Args:
        mean: m, [*shape].
        weight: W, [d, k].
        std: s.
    """

    bounds: Literal["density", "mass"] = "density"
    mean: Tensor
    weight: Tensor

    def __init__(self, mean: Tensor, weight: Tensor, std: float) -> None:
        super().__init__()
        self.shape, self.latent_shape, self.std = tuple(mean.shape), (weight.shape[1],), std
        self.register_buffer("mean", mean)
        self.register_buffer("weight", weight)
        self.precision = weight.T @ weight / std**2 + torch.eye(weight.shape[1]).to(weight)
        self.covariance = weight @ weight.T + std**2 * torch.eye(len(weight)).to(weight)

    @property
    def gap(self) -> float:
        """log p(x) less the expectation of the bound, in nats."""
        return 0.5 * (self.precision.diagonal().log().sum() - torch.logdet(self.precision)).item()

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x; m, W W^T + s^2 I), [n]."""
        normal = torch.distributions.MultivariateNormal(self.mean.flatten(), self.covariance)
        return normal.log_prob(x.flatten(1))

    def encode(self, x: Tensor) -> Tensor:
        """The posterior mean, [n, k]."""
        return torch.linalg.solve(self.precision, (x - self.mean).flatten(1) @ self.weight / self.std**2, left=False)

    def log_bound(self, x: Tensor) -> Tensor:
        """One draw of log p(x, z) - log q(z | x), [n]."""
        return self.log_weights(x, 1)[0]

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        """k draws of it, [k, n]."""
        noise, scale = torch.randn(k, len(x), *self.latent_shape).to(x), self.precision.diagonal().rsqrt()
        z = self.encode(x) + scale * noise
        residual = ((x - self.mean).flatten(1) - z @ self.weight.T) / self.std
        log_joint = -0.5 * (residual**2).sum(2) - x[0].numel() * math.log(self.std * math.sqrt(2 * math.pi))
        return log_joint + (0.5 * (noise**2 - z**2) + scale.log()).sum(2)


class Uniform(nn.Module, Mass, Density, LowerBound, ImportanceWeighted, Energy, Denoiser, NoisePredictor):
    """Every level of every pixel is equally likely: L levels cost log2 L bits, whoever asks.

    The density is uniform on the cube [-1 - h, 1 + h]^d that the levels' own cubes fill, with half a level
    h = 1 / (L - 1). The denoiser is of that density, the noise predictor of the levels themselves.
    """

    bounds: Literal["density", "mass"] = "mass"
    sigma_min, sigma_max = 0.002, 80.0
    betas: Tensor

    def __init__(self, shape: tuple[int, ...], levels: int) -> None:
        super().__init__()
        self.shape, self.levels, self.edge = shape, levels, levels / (levels - 1)
        self.register_buffer("betas", torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64))

    def log_mass(self, x: Tensor) -> Tensor:
        """-d log L, [n]."""
        return torch.full((len(x),), -x[0].numel() * math.log(self.levels), dtype=torch.float64)

    def log_prob(self, x: Tensor) -> Tensor:
        """-d log(2 + 2 h) inside the cube, [n]."""
        return -self.energy(x) - x[0].numel() * math.log(2 * self.edge)

    def log_bound(self, x: Tensor) -> Tensor:
        """The mass itself, [n]."""
        return self.log_mass(x)

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        """The mass itself, [k, n]."""
        return self.log_mass(x).expand(k, -1)

    def energy(self, x: Tensor) -> Tensor:
        """0 inside the cube, infinite outside, [n]."""
        inside = (x.abs() <= self.edge + 1e-6).flatten(1).all(1)
        return torch.where(inside, 0.0 * x.flatten(1).sum(1), math.inf)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The mean of a normal N(x, sigma^2) cut off outside the cube, [n, *shape].

        x + sigma (phi(a) - phi(b)) / (Phi(b) - Phi(a)) with a and b the borders in standard units.
        """
        sigma, y = expand(sigma, x).double(), x.double()
        low, high = (-self.edge - y.abs()) / sigma, (self.edge - y.abs()) / sigma
        log_inside = log_ndtr(high) + torch.log(-torch.expm1(log_ndtr(low) - log_ndtr(high)))
        pull = (_log_normal(low) - log_inside).exp() - (_log_normal(high) - log_inside).exp()
        return (y + y.sign() * sigma * pull).to(x.dtype)

    def predict(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        """(x_t - sqrt(abar) E[x_0 | x_t]) / sqrt(1 - abar), [n, *shape]."""
        abar = (1 - self.betas).cumprod(0)[timestep.long()]
        signal, noise = expand(abar.sqrt(), x_t), expand((1 - abar).sqrt(), x_t)
        values = torch.linspace(-1, 1, self.levels).to(x_t)
        offsets = (x_t[..., None] - signal[..., None] * values) / noise[..., None]
        clean = ((-0.5 * offsets**2).softmax(-1) * values).sum(-1)
        return (x_t - signal * clean) / noise


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * z**2 - 0.5 * math.log(2 * math.pi)
