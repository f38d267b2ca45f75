"""From samples to numbers: features once, metrics of them, likelihood, and the record. See the protocol's page.

>>> from genzoo.evaluation import evaluate_images
>>> metrics = evaluate_images(fake, test)  # doctest: +SKIP
>>> metrics["fd_debiased"].value, metrics["fd_debiased"].se  # doctest: +SKIP
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from genzoo import protocols
from genzoo.evaluation.checks import cut, subset
from genzoo.evaluation.comparability import comparable
from genzoo.evaluation.extractors import (
    Extractor,
    default_extractor,
    load_extractor,
    register_with_torch_fidelity,
)
from genzoo.evaluation.features import Cache, check_images, content_hash, extract, extract_cached
from genzoo.evaluation.likelihood import likelihoods
from genzoo.evaluation.metrics import NO_METRICS, feature_metrics, size_warnings
from genzoo.evaluation.parts import Metric
from genzoo.evaluation.points import KnownDensity, floors, kl_from, point_metrics
from genzoo.evaluation.record import Record, read_record, seal, write_record
from genzoo.evaluation.references import gaussian
from genzoo.evaluation.samples import read_images, read_points
from genzoo.protocols import Comparison, ImageSet

__all__ = [
    "Cache",
    "Extractor",
    "KnownDensity",
    "Metric",
    "Record",
    "comparable",
    "content_hash",
    "default_extractor",
    "evaluate_images",
    "evaluate_points",
    "extract",
    "extract_cached",
    "feature_metrics",
    "floors",
    "gaussian",
    "kl_from",
    "likelihoods",
    "load_extractor",
    "point_metrics",
    "read_images",
    "read_points",
    "read_record",
    "register_with_torch_fidelity",
    "seal",
    "size_warnings",
    "subset",
    "write_record",
]


def evaluate_images(
    fake: Tensor,
    real: Tensor,
    *,
    extractor: Extractor | None = None,
    train: Tensor | None = None,
    seed: int = 0,
    cache: Cache | None = None,
    strata: Tensor | None = None,
    real_labels: Tensor | None = None,
    labels: Tensor | None = None,
    metrics: Mapping[str, protocols.Metric] = NO_METRICS,
) -> dict[str, Metric]:
    """Every metric of uint8 images [n, h, w, c] against real ones, the larger set cut to the smaller's size.

    Args:
        extractor: the built-in one for this size if None.
        train: images of the training split, [m, h, w, c]: the floors and the metrics of copying need them.
        seed: fixes the subsets, and the halves and blocks of the Fréchet distance's bias and error.
        cache: keeps the features of the real and training images, by their content, from one call to the next.
        strata: the classes of the real images, [n], where those were drawn class by class.
        real_labels: the classes of the real images, [n], however those were drawn; ``strata`` by default.
        labels: the classes that were asked for, [n], of images from a conditional model.
        metrics: those of plugins, by name.

    Raises:
        InvalidSamples: images that are not uint8, of different or of unsuitable size, or fewer than 6; features that
            are not finite.
        PluginError: a plugin's metric has the name of one of GenZoo's.
    """
    shape = check_images(real)
    extractor = extractor or load_extractor(default_extractor(shape))
    for images in (fake, real) if train is None else (fake, real, train):
        extractor.check_shape(check_images(images))
    n, kept = min(len(fake), len(real)), {} if cache is None else cache
    classes = _cut(strata if real_labels is None else real_labels, n, seed)
    comparison = Comparison(
        generated=_seen(cut(fake, n, seed), extractor, {}, _cut(labels, n, seed)),
        real=_seen(cut(real, n, seed), extractor, kept, classes),
        train=None if train is None else _seen(train, extractor, kept),
        seed=seed,
    )
    return feature_metrics(comparison, strata=_cut(strata, n, seed), extra=metrics)


def _cut(labels: Tensor | None, n: int, seed: int) -> Tensor | None:
    return None if labels is None else cut(labels, n, seed)


def _seen(images: Tensor, extractor: Extractor, cache: Cache, labels: Tensor | None = None) -> ImageSet:
    """Images with their features, and with the classes that the extractor sees where it is a classifier."""
    features = extract_cached(images, extractor, cache)
    classify = getattr(extractor, "logits", None)
    with torch.no_grad():
        return ImageSet(images, features, classify(features) if classify else None, labels)


def evaluate_points(fake: Tensor, density: KnownDensity) -> dict[str, Metric]:
    """Every metric of points [n, 2] against the density they should have; raises :class:`InvalidSamples`."""
    return point_metrics(fake, density)
