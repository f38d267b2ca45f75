"""Sets of normal features for tests, and the metrics of one against another."""

import torch
from torch import Tensor

from genzoo.evaluation.metrics import feature_metrics
from genzoo.evaluation.parts import Metric
from genzoo.protocols import Comparison, ImageSet


def normal(n: int, d: int, seed: int) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def seen(features: Tensor) -> ImageSet:
    """Features with images that differ where the features do; their class is the largest coordinate, seen and said."""
    features = features.float().contiguous()
    return ImageSet(features.view(torch.uint8).unflatten(1, (-1, 4, 1)), features, features, features.argmax(1))


def measure(fake: Tensor, real: Tensor, train: Tensor | None = None, **options: object) -> dict[str, Metric]:
    comparison = Comparison(seen(fake), seen(real), None if train is None else seen(train))
    return feature_metrics(comparison, **options)


def values(metrics: dict[str, Metric]) -> dict[str, float | None]:
    return {name: metric.value for name, metric in metrics.items()}
