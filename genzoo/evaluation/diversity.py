"""How varied a set of images is, without a Gaussian fitted to it: Vendi score, classes, sliced Wasserstein distance.

References: The Vendi Score: A Diversity Evaluation Metric for Machine Learning (Friedman and Dieng, 2023); The
Jackknife, the Bootstrap and Other Resampling Plans (Efron, 1982) for the infinitesimal jackknife; Sliced and Radon
Wasserstein Barycenters of Measures (Bonneel et al., 2015).
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.checks import check_features, check_rows
from genzoo.evaluation.frechet import Estimate
from genzoo.protocols import ImageSet

NUM_DIRECTIONS = 512
DIRECTIONS_AT_ONCE = 64
DIRECTIONS_SEED = 20_001


def vendi(x: Tensor) -> Estimate:
    """The effective number of distinct rows of features [n, d]: exp of the entropy of the eigenvalues of K / n.

    K is the cosine similarity. With unit rows X the matrices X X^T / n and M = X^T X / n share their eigenvalues other
    than 0, so the smaller one is taken. The entropy is the mean over rows of -x^T (log M) x, and the standard error is
    that of this mean: the infinitesimal jackknife. Identical rows score 1, orthogonal ones n.

    Raises:
        InvalidSamples: a row of zeros, which has no direction; NaN or infinity.
    """
    x = check_rows(x, "generated", 1)
    norms = x.norm(dim=1, keepdim=True)
    if not norms.all():
        num_zero = int((norms == 0).sum())
        raise InvalidSamples(f"{num_zero} of {len(x)} rows are zero: they have no direction, so no cosine similarity")
    surprise = _surprise(x / norms)
    value = surprise.mean().exp().item()
    se = value * surprise.std().item() / math.sqrt(len(x)) if len(x) > 1 else math.nan
    return Estimate(value, se)


def _surprise(unit: Tensor) -> Tensor:
    """-x^T (log M) x of each unit row, [n]: its squared part along each eigenvector, times minus the log eigenvalue."""
    n, d = unit.shape
    if n < d:  # the eigenvectors v of X X^T / n = V L V^T give x_i its part n l v_i^2 along each eigenvector of M
        values, vectors = torch.linalg.eigh(unit @ unit.T / n)
        parts = n * values.clamp(min=0) * vectors.square()
    else:
        values, vectors = torch.linalg.eigh(unit.T @ unit / n)
        parts = (unit @ vectors).square()
    return -parts @ values.clamp(min=torch.finfo(torch.float64).tiny).log()


def class_histogram(logits: Tensor) -> Tensor:
    """The number of images that the classifier puts in each class, int64 [num_classes], of logits [n, num_classes]."""
    return torch.bincount(check_rows(logits, "classified", 1).argmax(1), minlength=logits.shape[1])


def in_their_class(images: ImageSet) -> Tensor:
    """Whether the classifier puts each image in the class of its label, bool [n].

    Raises:
        InvalidSamples: labels of classes that it does not know, or NaN.
    """
    logits, labels = images.logits, images.labels
    if logits is None or labels is None:
        raise InvalidSamples("these images have no labels, or the extractor sees no classes")
    if not 0 <= int(labels.min()) <= int(labels.max()) < logits.shape[1]:
        raise InvalidSamples(
            f"labels are {labels.min()} to {labels.max()}, the extractor sees {logits.shape[1]} classes"
        )
    return check_rows(logits, "classified", 1).argmax(1) == labels.to(logits.device)


def class_distance(fake_logits: Tensor, real_logits: Tensor) -> Estimate:
    """The total variation between the histograms of predicted classes, 1/2 sum_c |f_c - r_c|: 0 to 1.

    The standard error is over the generated images, given the real ones: each counts with the sign of its class.
    """
    fake, real = (class_histogram(x).double() / len(x) for x in (fake_logits, real_logits))
    difference = fake - real
    sign = difference.sign()
    variance = (fake @ sign.square() - (fake @ sign).square()).item() / 4
    return Estimate(0.5 * difference.abs().sum().item(), math.sqrt(max(variance, 0.0) / len(fake_logits)))


def expected_class_distance(fake_logits: Tensor, real_logits: Tensor) -> float:
    """What :func:`class_distance` is on average if both sets are draws of one distribution, given their union.

    Of the K_c images of class c among all n + m, the generated ones then hold a hypergeometric number A; so this is
    1/2 sum_c E|A / n - (K_c - A) / m|, exactly.
    """
    n, m = len(fake_logits), len(real_logits)
    pooled = class_histogram(fake_logits) + class_histogram(real_logits)
    return 0.5 * math.fsum(_mean_difference(int(k), n, m) for k in pooled)


def _mean_difference(k: int, n: int, m: int) -> float:
    """E|A / n - (k - A) / m| for A marked among n drawn without replacement from n + m of which k are marked."""
    drawn = torch.arange(max(0, k - m), min(k, n) + 1, dtype=torch.float64)
    log_mass = _log_choose(k, drawn) + _log_choose(n + m - k, n - drawn)
    return (torch.softmax(log_mass, 0) * (drawn / n - (k - drawn) / m).abs()).sum().item()


def _log_choose(n: int, k: Tensor) -> Tensor:
    return math.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)


def sliced_w2(x: Tensor, y: Tensor) -> float:
    """The 2-Wasserstein distance of projections of [n, d] both, root mean square over 512 fixed directions.

    Raises:
        InvalidSamples: sets of different size or width, NaN or infinity.
    """
    x, y = check_features(x, y, 1)
    if len(x) != len(y):
        raise InvalidSamples(f"{len(x)} generated and {len(y)} real rows: a sliced distance takes as many of each")
    pairs = zip(_sorted_projections(x), _sorted_projections(y), strict=True)
    return math.sqrt(math.fsum(np.square(a - b).mean(axis=1).sum() for a, b in pairs) / NUM_DIRECTIONS)


def _sorted_projections(x: Tensor) -> Iterator[np.ndarray]:
    """[64, n], one block of directions at a time."""
    rows = x.cpu().numpy().T
    for block in np.split(directions(x.shape[1]), NUM_DIRECTIONS // DIRECTIONS_AT_ONCE):
        yield np.sort(block @ rows, axis=1)


@lru_cache(maxsize=8)
def directions(d: int) -> np.ndarray:
    """512 fixed unit vectors, [512, d] float64, the same with every version of every library.

    Uniform on the sphere: normal numbers by Box and Muller from the raw bits of PCG64, whose stream is promised.
    """
    bits = np.random.PCG64(DIRECTIONS_SEED).random_raw(2 * NUM_DIRECTIONS * d)
    u, v = ((bits >> np.uint64(11)) * 2.0**-53).reshape(2, NUM_DIRECTIONS, d)
    normal = np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * math.pi * v)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)
