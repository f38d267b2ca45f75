"""The metrics of one comparison, each with its error, its value under a perfect model, its floor and how it was made.

The floor is what training images that the generated ones had no part in score in their place: a perfect model scores
about as much, with this extractor and this number of images.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from genzoo import protocols
from genzoo.errors import GenZooError, InvalidSamples, PluginError
from genzoo.evaluation.checks import check_features, subset
from genzoo.evaluation.copies import copy_metrics, split_distances, unique_share
from genzoo.evaluation.diversity import (
    NUM_DIRECTIONS,
    class_distance,
    expected_class_distance,
    in_their_class,
    sliced_w2,
    vendi,
)  # fmt: skip
from genzoo.evaluation.features import content_hash
from genzoo.evaluation.frechet import Estimate, fd_debiased_jackknife, fd_jackknife
from genzoo.evaluation.intervals import around, failed, of_blocks, share
from genzoo.evaluation.neighbours import neighbour_metrics
from genzoo.evaluation.pairs import K_STRICT, pair_statistics
from genzoo.evaluation.parts import Metric, measured
from genzoo.protocols import Comparison, ImageSet, Measurement

LOW_N = 2000
MIN_ACCURACY = 0.5
"""Of a classifier on real images, for its word on generated ones to count."""
NAMES = (
    "fd", "fd_debiased", "fd_train", "fd_gap", "kid", "precision", "recall", "density", "coverage", "precision_k3",
    "recall_k3", "auth_pct", "copy_rate", "nearest_train_z", "exact_duplicates", "unique", "vendi", "class_distance",
    "class_accuracy", "sliced_w2",
)  # fmt: skip
NO_METRICS: Mapping[str, protocols.Metric] = MappingProxyType({})
_floors: dict[str, dict[str, float]] = {}


def feature_metrics(
    comparison: Comparison, *, strata: Tensor | None = None, extra: Mapping[str, protocols.Metric] = NO_METRICS
) -> dict[str, Metric]:
    """Every metric of as many generated as real images; those of copying, and the floors, where ``train`` is given.

    ``strata`` are the classes of the real images, [n], where those were drawn class by class. ``extra`` are metrics of
    plugins by name. One that cannot be computed has failed with its reason, and the others are computed all the same.

    Raises:
        InvalidSamples: fewer than 6 images, another number of real ones, NaN or infinity, features of other width.
        PluginError: a plugin's metric has the name of one of these.
    """
    if clash := sorted(set(extra) & set(NAMES)):
        raise PluginError(f"a plugin's metric is called {clash[0]!r}, which is GenZoo's own: give it another name")
    _check(comparison)
    floors = _floors_of(comparison, strata)
    found = {name: _with_floor(metric, floors.get(name)) for name, metric in _metrics(comparison, strata).items()}
    return found | {name: _of_plugin(name, metric, comparison) for name, metric in extra.items()}


def size_warnings(num_generated: int, num_real: int | None = None) -> list[str]:
    """What a reader must know when sets are small, or were cut to one size."""
    num_real = num_generated if num_real is None else num_real
    n, warnings = min(num_generated, num_real), []
    if n < LOW_N:
        warnings.append(f"low_n: {n} samples a side; the bias of fd is of order 1/N, so rank by fd_debiased")
    if num_real != num_generated:
        sizes = f"{num_generated} generated, {num_real} real"
        warnings.append(f"unequal: {sizes}; a fixed random {n} of the larger are compared")
    return warnings


def _check(comparison: Comparison) -> None:
    generated, real, train = comparison.generated, comparison.real, comparison.train
    check_features(generated.features, real.features, K_STRICT + 1)
    if len(generated) != len(real):
        raise InvalidSamples(
            f"{len(generated)} generated images against {len(real)} real ones: compare as many (evaluate_images does)"
        )
    if train is not None:
        check_features(train.features, real.features, K_STRICT + 1, side="training")


def _metrics(comparison: Comparison, strata: Tensor | None) -> dict[str, Metric]:
    """All but the plugins', in the order of the record; those of copying if there are training images."""
    generated, real, train = comparison.generated, comparison.real, comparison.train
    return {
        **_distances(comparison, strata),
        **_of_pairs(generated.features, real.features),
        **({} if train is None else copy_metrics(generated, real, train)),
        **_diversity(generated, real),
    }


def _size(fake: Tensor, real: Tensor) -> str:
    return f"{len(fake)} generated against {len(real)} real"


def _distances(comparison: Comparison, strata: Tensor | None) -> dict[str, Metric]:
    fake, real, seed = comparison.generated.features, comparison.real.features, comparison.seed
    size, halves = _size(fake, real), "halves" if strata is None else "stratified halves"
    distance = fd_jackknife(fake, real, seed=seed)
    debiased = fd_debiased_jackknife(fake, real, seed=seed, strata=strata)
    found = {
        "fd": of_blocks(distance, size),
        "fd_debiased": of_blocks(debiased, f"2 FD_N - mean FD of two {halves}; {size}", expected=0.0),
    }
    if comparison.train is None:
        return found
    return found | split_distances(distance, fake, comparison.train.features, seed)


def _of_pairs(fake: Tensor, real: Tensor) -> dict[str, Metric]:
    pairs = pair_statistics(fake, real)
    how = f"unbiased, cubic kernel, all rows; {_size(fake, real)}; jackknife over rows"
    kid = around(pairs.kernel_sums.mmd2(), "lower", how, expected=0.0)
    return {"kid": kid, **neighbour_metrics(pairs)}


def _diversity(generated: ImageSet, real: ImageSet) -> dict[str, Metric]:
    fake, truth = generated.features, real.features
    found = {
        "unique": measured(unique_share(generated.images), "higher", "share of distinct images among the generated"),
        "vendi": _vendi(fake, truth),
    }
    if generated.logits is not None and real.logits is not None:
        found["class_distance"] = _class_distance(generated.logits, real.logits)
    if generated.logits is not None and generated.labels is not None:
        found["class_accuracy"] = _class_accuracy(generated, real)
    how = f"{NUM_DIRECTIONS} fixed directions of the features; {_size(fake, truth)}"
    return found | {"sliced_w2": measured(sliced_w2(fake, truth), "lower", how)}


def _vendi(fake: Tensor, real: Tensor) -> Metric:
    how = f"effective number of distinct images, cosine kernel; expected: the {len(real)} real ones' own"
    try:
        return around(vendi(fake), "higher", how, expected=vendi(real).value)
    except InvalidSamples as error:
        return failed("higher", how, str(error))


def _class_distance(fake: Tensor, real: Tensor) -> Metric:
    how = "total variation of predicted classes; se given the real images; expected: two draws of one distribution"
    try:
        return around(class_distance(fake, real), "lower", how, expected=expected_class_distance(fake, real))
    except InvalidSamples as error:
        return failed("lower", how, str(error))


def _class_accuracy(generated: ImageSet, real: ImageSet) -> Metric:
    how = "share of images in which the extractor sees the class that was asked for; expected: that of the real ones"
    try:
        expected = _own_accuracy(real)
        inside = in_their_class(generated)
    except InvalidSamples as error:
        return failed("higher", how, str(error))
    return share(inside, how).model_copy(update={"expected": expected})


def _own_accuracy(real: ImageSet) -> float:
    """That of the extractor's classifier on real images; raises :class:`InvalidSamples` unless it knows their classes.

    As many classes may be others': what a classifier of other data says of these is no better than a guess.
    """
    if real.labels is None:
        raise InvalidSamples("the real images have no labels: whether the extractor knows their classes is not known")
    accuracy = in_their_class(real).double().mean().item()
    if accuracy < MIN_ACCURACY:
        raise InvalidSamples(
            f"the extractor sees the class of {accuracy:.1%} of the real images, less than {MIN_ACCURACY:.0%}: "
            "its classes are not those of this data"
        )
    return accuracy


def _floors_of(comparison: Comparison, strata: Tensor | None) -> dict[str, float]:
    """What training images score in place of the generated ones; computed once for the same images and seed."""
    real, train = comparison.real, comparison.train
    if train is None or len(train) < len(real):
        return {}
    contents = [train.features, train.images, real.features, real.images, *([] if strata is None else [strata])]
    key = " ".join([str(comparison.seed), *map(content_hash, contents)])
    if key not in _floors:
        found = _measure_floors(train, real, comparison.seed, strata)
        _floors[key] = {name: metric.value for name, metric in found.items() if metric.value is not None}
    return _floors[key]


def _measure_floors(train: ImageSet, real: ImageSet, seed: int, strata: Tensor | None) -> dict[str, Metric]:
    """Of training images beside those of ``fd_train``, so that it has a floor too; of those themselves if few."""
    n = len(real)
    compared = subset(len(train), n, seed)
    rest = torch.ones(len(train), dtype=torch.bool).index_fill_(0, compared, False).nonzero()[:, 0]
    if len(rest) < n:
        return _metrics(Comparison(_take(train, compared), real, seed=seed), strata)
    stand_in = _take(train, rest[subset(len(rest), n, seed)])
    beside = Comparison(stand_in, real, _take(train, compared), seed)
    return _metrics(replace(beside, train=None), strata) | _distances(beside, strata)


def _take(images: ImageSet, rows: Tensor) -> ImageSet:
    logits, labels = (None if part is None else part[rows] for part in (images.logits, images.labels))
    return ImageSet(images.images[rows], images.features[rows], logits, labels)


def _with_floor(metric: Metric, floor: float | None) -> Metric:
    return metric if floor is None else metric.model_copy(update={"floor": floor})


def _of_plugin(name: str, metric: protocols.Metric, comparison: Comparison) -> Metric:
    """What a plugin's metric found, on a copy of its own: it may write into what it is given."""
    try:
        found = metric(deepcopy(comparison))
        if not isinstance(found, Measurement):
            raise TypeError(f"it gave {type(found).__name__}, not a Measurement")
        if found.se is None:
            return measured(float(found.value), found.better, found.how, expected=found.expected)
        estimate = Estimate(float(found.value), float(found.se))
        return around(estimate, found.better, found.how, expected=found.expected)
    except Exception as error:  # whatever it is, the other metrics stand
        reason = str(error) if isinstance(error, GenZooError) else f"{type(error).__name__}: {error}"
        return failed("lower", f"{name}, a plugin's metric", reason)
