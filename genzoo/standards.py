"""What samples are measured against: a split of a data set, other images, a known density, published moments."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from genzoo import evaluation as ev
from genzoo.data import Data, cache
from genzoo.errors import InvalidSamples
from genzoo.evaluation import frechet
from genzoo.evaluation.cache import FeatureCache
from genzoo.evaluation.checks import subset
from genzoo.evaluation.extractors import Extractor
from genzoo.evaluation.moments import Moments
from genzoo.evaluation.parts import DataPart, SecondOpinion, measured
from genzoo.evaluation.pictures import AS_THEY_ARE, Wanted
from genzoo.evaluation.samples import SampleSet
from genzoo.images import is_image
from genzoo.protocols import Metric
from genzoo.records import Findings, extractor_part, split_part

MAX_IMAGES, NUM_POINTS = 10_000, 10_000
MAX_TRAIN_IMAGES, MAX_TRAIN_BYTES = 60_000, 1 << 30
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Panel:
    """Who looks at images: an extractor, perhaps another one beside it (none for points), and metrics of plugins."""

    extractors: tuple[Extractor, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)


class Standard(Protocol):
    """The real side of a measurement."""

    @property
    def name(self) -> str:
        """As the record names it."""

    @property
    def wanted(self) -> Wanted:
        """What samples must be to be measured against it."""

    @property
    def num_samples(self) -> int:
        """How many samples the protocol asks for."""

    def measure(self, fake: Tensor, panel: Panel, asked: Tensor | None = None) -> Findings:
        """The metrics of uint8 images [n, h, w, c] or points [n, 2]; raises :class:`InvalidSamples`.

        ``asked`` [n] are the classes that were asked for, where they were.
        """


class Pictures(Protocol):
    """Images by index, uint8 [n, h, w, c], and their classes, [n] or None."""

    @property
    def labels(self) -> Tensor | None: ...

    def __len__(self) -> int: ...

    def images(self, indices: Tensor) -> Tensor:
        """Those at ``indices``."""


@dataclass(frozen=True)
class Images:
    """As many real images as there are samples, and the training images that a model may have copied.

    ``stratified`` if the images were drawn class by class, as the test splits of data sets with labels are.
    """

    part: DataPart
    pictures: Pictures
    train: Pictures | None = None
    stratified: bool = False

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.part.shape, self.part.levels)

    @property
    def num_samples(self) -> int:
        """As many as there are, up to 10,000."""
        return min(MAX_IMAGES, len(self.pictures))

    def measure(self, fake: Tensor, panel: Panel, asked: Tensor | None = None) -> Findings:
        """Every metric by every extractor of the panel, on equal numbers of both sides."""
        n, train = min(len(fake), len(self.pictures)), self._train_images()
        rows = subset(len(self.pictures), n, seed=0)  # no more are read than are compared
        labels, real = self.pictures.labels, self.pictures.images(rows)
        real_labels = None if labels is None else labels[rows]

        def seen_by(extractor: Extractor) -> dict[str, ev.Metric]:
            log.info("%s looks at %d samples, %d real images%s", extractor.name, n, n, _and_train(train))
            return ev.evaluate_images(
                fake,
                real,
                extractor=extractor,
                train=train,
                cache=FeatureCache(cache.root() / "features"),
                strata=real_labels if self.stratified else None,
                real_labels=real_labels,
                labels=asked,
                metrics=panel.metrics,
            )

        first, *others = [SecondOpinion(extractor=extractor_part(e), metrics=seen_by(e)) for e in panel.extractors]
        return Findings(
            data=self.part.model_copy(update={"n": n}),
            metrics=first.metrics,
            extractor=first.extractor,
            beside=next(iter(others), None),
            warnings=(*ev.size_warnings(len(fake), len(self.pictures)), *self._copies(train)),
        )

    def _train_images(self) -> Tensor | None:
        if self.train is None:
            return None
        at_most = min(MAX_TRAIN_IMAGES, MAX_TRAIN_BYTES // math.prod(self.part.shape))
        return self.train.images(subset(len(self.train), at_most, seed=0))

    def _copies(self, train: Tensor | None) -> list[str]:
        if train is None or self.train is None:
            return ["copies are not looked for: no training images are known beside the real ones"]
        if len(train) == len(self.train):
            return []
        return [f"copies are looked for among {len(train):,} of {len(self.train):,} training images"]


def _and_train(train: Tensor | None) -> str:
    return "" if train is None else f" and {len(train)} of the training split"


@dataclass(frozen=True)
class Points:
    """The density that points should have; where it is not known, nothing but a likelihood can be measured."""

    part: DataPart
    density: ev.KnownDensity | None

    @property
    def name(self) -> str:
        return self.part.name

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.part.shape)

    @property
    def num_samples(self) -> int:
        """10,000."""
        return NUM_POINTS

    def measure(self, fake: Tensor, panel: Panel, asked: Tensor | None = None) -> Findings:
        """Every metric against the density."""
        part = self.part.model_copy(update={"n": len(fake)})  # as many draws, or as many examples as there are
        if self.density is None:
            return Findings(part, {}, warnings=(f"the density of {self.name} is not known: points are not measured",))
        return Findings(part, ev.evaluate_points(fake, self.density))


@dataclass(frozen=True)
class Published:
    """Moments of reference features that somebody published: only a Fréchet distance can be taken from them."""

    name: str
    moments: Moments
    wanted: Wanted = AS_THEY_ARE

    @property
    def num_samples(self) -> int:
        """10,000: how many real images there were is not published with them."""
        return MAX_IMAGES

    def measure(self, fake: Tensor, panel: Panel, asked: Tensor | None = None) -> Findings:
        """The Fréchet distance to the moments; raises where these are of other features than the extractor's."""
        extractor, dimension = panel.extractors[0], len(self.moments.mean)
        features = ev.extract(fake, extractor)
        if features.shape[1] != dimension:
            raise InvalidSamples(
                f"{self.name} holds moments of {dimension} features, {extractor.name} gives {features.shape[1]}: "
                "choose the --extractor they were computed with"
            )
        value = frechet.frechet_from_moments(features, self.moments)
        how = f"{len(fake)} generated against published moments"
        warnings = (
            *ev.size_warnings(len(fake)),
            "only a Fréchet distance: moments hold no images, and not how many there were",
        )
        part = DataPart(name=self.name, fingerprint=self.moments.sha256, split="moments", n=0, shape=(), levels=None)
        return Findings(part, {"fd": measured(value, "lower", how)}, extractor_part(extractor), warnings=warnings)


def of_data(data: Data, split: str = "test") -> Standard:
    """A split of a data set; where that is not the training split, that one is where copies are looked for."""
    rows = {"train": data.train, "test": data.test}[split]
    part = split_part(data, split, len(rows))
    if not is_image(data.shape):
        return Points(part, data.density)
    return Images(part, rows, data.train if split == "test" else None, stratified=True)


def of_samples(real: SampleSet) -> Standard:
    """Images from a file, a folder or a tensor; raises :class:`InvalidSamples` of points."""
    if not is_image(real.shape):
        raise InvalidSamples(f"{real.name} holds points, which are measured against a known density only: use --data")
    part = DataPart(
        name=real.name,
        fingerprint=real.sha256,
        split="all",
        n=len(real),
        shape=real.shape,
        levels=256,
        preparation="; ".join(real.preparation) or None,
    )
    return Images(part, real)
