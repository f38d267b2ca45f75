"""One Gaussian with a full covariance: the floor of every table."""

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from genzoo.capabilities import Decoder, Density, Encoder, Given, known_classes
from genzoo_reference.fitting import variance_of_a_level

CHUNK = 4096


class Gaussian(nn.Module, Density, Encoder, Decoder):
    """N(mean, C) as x = mean + L z with z ~ N(0, I) and C = L L^T, L lower triangular.

    C is the covariance S of the training data, shrunk towards a multiple of the identity::

        C = (1 - s) S + (s tr S / d + D^2 / 12 + jitter) I

    where D^2 / 12 is the variance of what dequantises images, D the width of a level: C is exactly the covariance of
    dequantised images. The conditional model has one Gaussian a class, and one of all for examples without a label.

    Reference: A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices (Ledoit and Wolf, 2004) for the
    form of the shrinkage.

    Args:
        shape: Of one example.
        shrinkage: s, from 0 to 1.
        jitter: The least variance in any direction.
        levels: Grey levels of the data; None for continuous data.
        num_classes: Of the data.
        conditional: Whether it is a model of p(x | label).
    """

    trainer: ClassVar[str] = "closed-form"
    sampler: ClassVar[str] = "decode"
    fitted: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        shrinkage: Annotated[float, Field(ge=0, le=1)] = 0.0,
        jitter: PositiveFloat = 1e-6,
        levels: int | None = None,
        num_classes: int | None = None,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.latent_shape, dimension = shape, shape, math.prod(shape)
        self.shrinkage, self.least = shrinkage, jitter + variance_of_a_level(levels)
        if conditional:
            self.num_classes = known_classes(num_classes)
        count = num_classes + 1 if conditional and num_classes else 1
        self.means = nn.Parameter(torch.zeros(count, dimension))
        self.roots = nn.Parameter(torch.zeros(count, dimension * (dimension + 1) // 2))
        self.register_buffer("fitted", torch.tensor(False))

    def given(self, labels: Tensor) -> Given:
        """The Gaussian of each row's class; the index ``num_classes`` is that of all."""
        return Given(self, labels)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x), [n], in nats."""
        z, log_det = torch.empty_like(x).flatten(1), x.new_empty(len(x))
        for k, rows in self._groups(labels):
            root = self._root(k)
            z[rows] = self._whiten(x[rows], k, root)
            log_det[rows] = root.diagonal().log().sum()
        return -0.5 * (z**2).sum(1) - log_det - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """z = L^-1 (x - mean), [n, *shape]."""
        z = torch.empty_like(x)
        for k, rows in self._groups(labels):
            z[rows] = self._whiten(x[rows], k, self._root(k)).unflatten(1, self.shape)
        return z

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """x = mean + L z, [n, *shape]."""
        x = torch.empty_like(z)
        with torch.autocast(z.device.type, enabled=False):  # the darkest pixels vary by less than bfloat16 resolves
            for k, rows in self._groups(labels):
                x[rows] = (self.means[k] + z[rows].flatten(1) @ self._root(k).T).unflatten(1, self.shape)
        return x

    @torch.no_grad()
    def fit(self, x: Tensor, labels: Tensor | None) -> None:
        """Mean and covariance of the examples, for each class that has two of them and for all together."""
        x = x.flatten(1)
        for k in range(len(self.means)):
            own = x[labels == k] if labels is not None and k < len(self.means) - 1 else x
            self._fit(k, own if len(own) > 1 else x)
        self.fitted.fill_(True)

    def misfit(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """-log p(x) a dimension, in nats."""
        labels = labels if len(self.means) > 1 else None
        return -self.log_prob(x, labels).mean() / x[0].numel()

    def _fit(self, k: int, x: Tensor) -> None:
        mean, dimension = x.mean(0, dtype=torch.float64), x.shape[1]
        covariance = torch.zeros(dimension, dimension, dtype=torch.float64, device=x.device)
        for chunk in x.split(CHUNK):
            deviations = chunk.double() - mean
            covariance.addmm_(deviations.T, deviations, alpha=1 / len(x))
        spread = self.shrinkage * covariance.trace() / dimension + self.least
        covariance.mul_(1 - self.shrinkage).diagonal().add_(spread)
        root = torch.linalg.cholesky(covariance)
        root.diagonal().log_()
        self.means[k] = mean
        self.roots[k] = root[self._places()]

    def _places(self) -> tuple[Tensor, Tensor]:
        """Rows and columns of the entries of L."""
        rows, columns = torch.tril_indices(self.means.shape[1], self.means.shape[1], device=self.means.device)
        return rows, columns

    def _root(self, k: int) -> Tensor:
        """L of class k, [d, d]; the logarithm of its diagonal is what is stored."""
        root = self.roots.new_zeros(self.means.shape[1], self.means.shape[1]).index_put(self._places(), self.roots[k])
        return root.tril(-1) + torch.diag(root.diagonal().exp())

    def _whiten(self, x: Tensor, k: int, root: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(root, (x.flatten(1) - self.means[k]).T, upper=False).T

    def _groups(self, labels: Tensor | None) -> Iterator[tuple[int, Tensor | slice]]:
        """Each Gaussian that is asked for, and the rows that ask."""
        if labels is None:
            yield len(self.means) - 1, slice(None)
        else:
            for k in labels.unique().tolist():
                yield k, labels == k
