"""A mixture of probabilistic principal component analysers; of Gaussians, where the data is a plane."""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn

from genzoo.capabilities import Decoder, Density
from genzoo.images import is_image
from genzoo_reference.fitting import place, variance_of_a_level

CHUNK = 2048
LLOYD = 10


@dataclass
class Statistics:
    """Sums over examples of what the M-step needs, of k components: float64.

    ``weight`` sum_n r_n [k], ``x`` sum_n r_n x_n [k, d], ``square`` sum_n r_n |x_n - m|^2 [k], ``y`` sum_n r_n y_n
    [k, q] and ``xy`` sum_n r_n x_n y_n^T [k, d, q], where y_n = W^T (x_n - m) and m, W are those before the step.
    """

    weight: Tensor
    x: Tensor
    square: Tensor
    y: Tensor
    xy: Tensor

    @classmethod
    def zero(cls, k: int, d: int, q: int, device: torch.device) -> Self:
        """Of no examples."""
        sizes = ((k,), (k, d), (k,), (k, q), (k, d, q))
        return cls(*(torch.zeros(*size, dtype=torch.float64, device=device) for size in sizes))

    def add(self, r: Tensor, x: Tensor, square: Tensor, y: Tensor) -> None:
        """Of examples x [n, d] with responsibilities r [n, k], squares [n, k] and y [n, k, q]."""
        ry = r[..., None] * y
        self.weight += r.double().sum(0)
        self.x += r.T @ x
        self.square += (r * square).double().sum(0)
        self.y += ry.double().sum(0)
        self.xy += (x.T @ ry.flatten(1)).view(x.shape[1], *y.shape[1:]).transpose(0, 1)


class MPPCA(nn.Module, Density, Decoder):
    """p(x) = sum_k w_k N(x; m_k, W_k W_k^T + s_k^2 I), W_k of q columns.

    q = d - 1 is the mixture of Gaussians with full covariances; one component is probabilistic principal component
    analysis. As a decoder, z_0 chooses the component (Phi(z_0) falls on its share of [0, 1]) and x = m_k + W_k z_1..q;
    ``observe`` adds the noise s_k, which makes it a draw from p.

    References: Mixtures of Probabilistic Principal Component Analysers (Tipping and Bishop, 1999); On GANs and GMMs
    (Richardson and Weiss, 2018) for images.

    Args:
        shape: Of one example.
        components: k.
        factors: q, at most d - 1.
        min_std: The least s: no component collapses on one example.
        levels: Grey levels of the data; None for continuous data.
    """

    trainer: ClassVar[str] = "closed-form"
    fitted: Tensor
    started: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        components: PositiveInt | None = None,
        factors: NonNegativeInt | None = None,
        min_std: PositiveFloat = 0.01,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        picture, d = is_image(shape), math.prod(shape)
        k, q = components or (50 if picture else 64), min(10, d - 1) if factors is None else factors
        if q >= d:
            raise ValueError(f"factors={q} of data of {d} dimensions: allowed are 0 to {d - 1}")
        self.shape, self.latent_shape, self.sampler = shape, (1 + q,), "decode" if picture else "ancestral"
        self.least, self.blur = min_std**2, variance_of_a_level(levels)
        self.logits = nn.Parameter(torch.zeros(k))
        self.means = nn.Parameter(torch.randn(k, d))
        self.factors = nn.Parameter(torch.zeros(k, d, q))
        self.log_stds = nn.Parameter(torch.zeros(k))
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("started", torch.tensor(False))

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), [n], in nats."""
        return torch.cat([self._log_joint(part)[0].logsumexp(1) for part in x.flatten(1).split(CHUNK)])

    def decode(self, z: Tensor) -> Tensor:
        """m_k + W_k z, [n, *shape], without the noise."""
        return self._mean(z, self._component(z))

    def observe(self, z: Tensor, generator: Generator) -> Tensor:
        """x ~ p(x | z), [n, *shape]: the noise of the component."""
        k = self._component(z)
        mean = self._mean(z, k)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + self.log_stds[k].exp().view(-1, *[1] * len(self.shape)) * noise

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """k-means, and the probabilistic principal components of each cluster of x [n, *shape]."""
        x = x.flatten(1)
        means = x[torch.randperm(len(x), device=x.device)[torch.arange(len(self.means)) % len(x)]]
        for _ in range(LLOYD):
            nearest = torch.cat([torch.cdist(part, means).argmin(1) for part in x.split(CHUNK)])
            sizes = torch.bincount(nearest, minlength=len(means))
            sums = torch.zeros_like(means).index_add_(0, nearest, x)
            means = torch.where(sizes[:, None] > 0, sums / sizes[:, None].clamp(min=1), means)
        spread = x.var(0, correction=0).mean()
        for k in range(len(means)):
            self._start(k, means[k], x[nearest == k], spread)
        self.logits.copy_((sizes + 1.0).log())
        self.started.fill_(True)

    @torch.no_grad()
    def fit(self, x: Tensor, labels: Tensor | None) -> None:
        """One iteration of EM; the first time, the initialisation too. The likelihood of x never falls.

        With y = W^T (x - m), M = W^T W + s^2 I and S the covariance of what a component is responsible for::

            W <- S W (s^2 I + M^-1 W^T S W)^-1,     s^2 <- tr(S - S W M^-1 W^T) / d

        Images are dequantised: the variance of a level is added to S.
        """
        if not self.started:
            self.initialize(x)
        k, d, q = self.factors.shape
        total = Statistics.zero(k, d, q, x.device)
        for part in x.flatten(1).split(CHUNK):
            log_joint, square, y = self._log_joint(part)
            total.add(log_joint.softmax(1), part, square, y)
        self._maximise(total)

    def misfit(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """-log p(x) a dimension, in nats."""
        return -self.log_prob(x).mean() / x[0].numel()

    def _component(self, z: Tensor) -> Tensor:
        return place(z[:, 0], self.logits.softmax(0))

    def _mean(self, z: Tensor, k: Tensor) -> Tensor:
        moved = (self.factors[k] @ z[:, 1:, None]).squeeze(2)
        return (self.means[k] + moved).unflatten(1, self.shape)

    def _log_joint(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """log w_k N(x; k) [n, k], |x - m_k|^2 [n, k] and W_k^T (x - m_k) [n, k, q] of x [n, d].

        By Woodbury's identity, (x - m)^T C^-1 (x - m) = (|x - m|^2 - y^T M^-1 y) / s^2.
        """
        with torch.autocast(x.device.type, enabled=False):  # digits of bfloat16 would not survive the differences
            (count, d, q), variance = self.factors.shape, torch.exp(2 * self.log_stds)
            square = ((x**2).sum(1, keepdim=True) + (self.means**2).sum(1) - 2 * x @ self.means.T).clamp(min=0)
            offset = torch.einsum("kd,kdq->kq", self.means, self.factors)
            y = (x @ self.factors.transpose(0, 1).reshape(d, count * q)).view(len(x), count, q) - offset
            inner = self.factors.mT @ self.factors + variance[:, None, None] * torch.eye(q, device=x.device)
            root = torch.linalg.cholesky(inner)
            explained = torch.linalg.solve_triangular(root, y.permute(1, 2, 0), upper=False).square().sum(1).T
            log_det = (d - q) * 2 * self.log_stds + 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)
            log_normal = -0.5 * ((square - explained) / variance + log_det + d * math.log(2 * math.pi))
            return self.logits.log_softmax(0) + log_normal, square, y

    def _start(self, k: int, mean: Tensor, x: Tensor, spread: Tensor) -> None:
        """W = U (L - s^2)^(1/2), from the q largest eigenvalues L, s^2 the mean of the others; noise for what is not.

        Reference: Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), equations 7 and 8.
        """
        _, d, q = self.factors.shape
        self.means[k] = mean
        self.factors[k] = 0.01 * spread.sqrt() * torch.randn(d, q, device=x.device)
        known = min(q, len(x) - 1)
        variance = spread
        if known > 0:
            _, singular, directions = torch.svd_lowrank(x - mean, min(q + 10, *x.shape), niter=4)
            values = singular[:known] ** 2 / len(x)
            variance = ((x - mean).square().sum() / len(x) - values.sum()).clamp(min=0) / (d - known)
            variance = variance.clamp(min=self.least)
            self.factors[k, :, :known] = directions[:, :known] * (values - variance).clamp(min=0).sqrt()
        self.log_stds[k] = 0.5 * (variance + self.blur).log()

    def _maximise(self, total: Statistics) -> None:
        """The M-step; a component that is responsible for less than one example stays as it is."""
        m, w, variance = self.means.double(), self.factors.double(), torch.exp(2 * self.log_stds.double())
        d, q = w.shape[1:]
        weight = total.weight.clamp(min=1.0)
        shift = total.x / weight[:, None] - m
        sw = (total.xy - m[..., None] * total.y[:, None]) / weight[:, None, None] + self.blur * w
        sw = sw - shift[..., None] * (shift[:, None] @ w)
        trace = total.square / weight - (shift**2).sum(1) + d * self.blur
        identity = torch.eye(q, dtype=torch.float64, device=w.device)
        inverse = torch.linalg.inv(w.mT @ w + variance[:, None, None] * identity)
        new_w = sw @ torch.linalg.inv(variance[:, None, None] * identity + inverse @ w.mT @ sw)
        new_variance = (trace - ((sw @ inverse) * new_w).sum((1, 2))) / d
        alive = total.weight >= 1
        self.means.copy_(torch.where(alive[:, None], m + shift, m))
        self.factors.copy_(torch.where(alive[:, None, None], new_w, w))
        self.log_stds.copy_(0.5 * torch.where(alive, new_variance.clamp(min=self.least), variance).log())
        self.logits.copy_(total.weight.clamp(min=1e-3).log())
