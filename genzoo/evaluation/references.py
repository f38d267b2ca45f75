"""The two rows of every table that no model made: a Gaussian fitted to the training data, and training data itself."""

import torch
from torch import Generator, Tensor

from genzoo.errors import InvalidSamples


def gaussian(train_x: Tensor, n: int, seed: int) -> Tensor:
    """``n`` draws from the normal distribution with the mean and the full covariance of ``train_x`` [m, *shape].

    A covariance that is singular (a pixel that never changes, fewer examples than pixels) is no obstacle. float32.
    """
    rows = train_x.flatten(1).double()
    if len(rows) < 2 or not rows.isfinite().all():
        raise InvalidSamples(f"a Gaussian is fitted to at least 2 finite examples; these are {len(rows)}")
    root = _root(rows)
    z = torch.randn(n, len(root), generator=Generator().manual_seed(seed), dtype=torch.float64).to(rows.device)
    return (rows.mean(0) + z @ root).float().unflatten(1, train_x.shape[1:])


def _root(rows: Tensor) -> Tensor:
    """R with R^T R = the covariance: the deviations themselves if they are few, else from its eigenvectors."""
    deviations = (rows - rows.mean(0)) / (len(rows) - 1) ** 0.5
    if len(rows) <= rows.shape[1]:
        return deviations
    variances, directions = torch.linalg.eigh(deviations.T @ deviations)
    return variances.clamp(min=0).sqrt()[:, None] * directions.T
