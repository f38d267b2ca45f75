"""From samples to numbers: features once, metrics of them, likelihood, and the record. See the protocol's page.

>>> from genzoo.evaluation import evaluate_images
>>> metrics = evaluate_images(fake, test)  # doctest: +SKIP
>>> metrics["fd_debiased"].value, metrics["fd_debiased"].se  # doctest: +SKIP
"""

from torch import Tensor

from genzoo.evaluation.checks import cut
from genzoo.evaluation.extractors import (
    Extractor,
    default_extractor,
    load_extractor,
    register_with_torch_fidelity,
)
from genzoo.evaluation.features import Cache, check_images, content_hash, extract, extract_cached
from genzoo.evaluation.likelihood import likelihood
from genzoo.evaluation.metrics import feature_metrics, size_warnings
from genzoo.evaluation.points import KnownDensity, floors, point_metrics
from genzoo.evaluation.record import Metric, Record, comparable, read_record, seal, write_record
from genzoo.evaluation.references import gaussian, train_subset
from genzoo.evaluation.samples import read_images, read_points

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
    "likelihood",
    "load_extractor",
    "point_metrics",
    "read_images",
    "read_points",
    "read_record",
    "register_with_torch_fidelity",
    "seal",
    "size_warnings",
    "train_subset",
    "write_record",
]


def evaluate_images(
    fake: Tensor,
    real: Tensor,
    *,
    extractor: Extractor | None = None,
    seed: int = 0,
    cache: Cache | None = None,
    strata: Tensor | None = None,
) -> dict[str, Metric]:
    """Every feature metric of uint8 images [n, h, w, c] against real ones, the larger set cut to the smaller's size.

    Args:
        extractor: the built-in one for this size if None.
        seed: fixes the subset, and the halves and blocks of the Fréchet distance's bias and error.
        cache: a dict that keeps the features of the real images, by their content, from one call to the next.
        strata: the classes of the real images, [m], where those were drawn class by class.

    Raises:
        InvalidSamples: images that are not uint8, of different or of unsuitable size, or fewer than 6.
    """
    shape = check_images(real)
    extractor = extractor or load_extractor(default_extractor(shape))
    extractor.check_shape(check_images(fake))
    n = min(len(fake), len(real))
    real, strata = cut(real, n, seed), None if strata is None else cut(strata, n, seed)
    real_features = extract_cached(real, extractor, {} if cache is None else cache)
    return feature_metrics(extract(cut(fake, n, seed), extractor), real_features, seed=seed, strata=strata)


def evaluate_points(fake: Tensor, density: KnownDensity) -> dict[str, Metric]:
    """Every metric of points [n, 2] against the density they should have; raises :class:`InvalidSamples`."""
    return point_metrics(fake, density)
