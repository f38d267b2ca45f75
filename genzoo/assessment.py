"""Anything can be scored: runs, files, folders, tensors, splits of data sets, pipelines, against any of them."""

import reprlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from genzoo import scoring, standards
from genzoo.config import SampleConfig, checked
from genzoo.data import load
from genzoo.errors import InvalidConfig, InvalidSamples
from genzoo.evaluation import Record, default_extractor
from genzoo.evaluation.pictures import AS_THEY_ARE, FILTERS
from genzoo.evaluation.samples import from_array, holds_moments, read_images, read_moments
from genzoo.images import is_image
from genzoo.jobs import CONFIG
from genzoo.run import Run
from genzoo.scoring import Judging
from genzoo.standards import Standard
from genzoo.subjects import Source, name_of, open_split, read
from genzoo.zoo import Zoo


def evaluate(
    samples: "Run | Source",
    *,
    data: str | None = None,
    against: Source | None = None,
    size: int | None = None,
    num_samples: int | None = None,
    sampler: str | None = None,
    options: Mapping[str, Any] | None = None,
    guidance: float | None = None,
    classifier: str | Mapping[str, Any] | None = None,
    seed: int = 0,
    resize: str = "bicubic",
    extractor: str | None = None,
    extractor_weights: Path | None = None,
    beside: str | None = None,
    likelihood_images: int = 256,
    likelihood: str = "quick",
) -> Record:
    """Measure samples against data: a record of every metric, with its error and how it was made.

    Args:
        samples: A :class:`Run` or its folder; an ``.npz`` whose ``arr_0`` is uint8 [n, h, w, c] (and ``arr_1`` the
            labels that were asked for), or float [n, 2] for points; a folder of pictures of any mode and size; a tensor
            or an array like that; a split of a data set, such as ``digits:test``; a folder of an unconditional
            diffusers pipeline.
        data: A data set, whose test split is the real side; a run's own by default.
        against: The real side, in place of ``data``: a split, ``.npz``, folder or tensor as above, or an ``.npz`` of
            published moments, ``mu`` and ``sigma``.
        size: The side in pixels to which the images of ``data`` are brought.
        num_samples: How many are drawn of a run or a pipeline, and at most taken of anything else; as many as there
            are real images, up to 10,000, or 10,000 points, by default.
        sampler: For a run: the model's own by default.
        options: Of the run's sampler, or of the pipeline.
        guidance: How strongly a conditional run's labels are followed (:mod:`genzoo.guidance`).
        classifier: What guides in place of the model itself: ``run:FOLDER``, or a training of its own.
        seed: Of what is drawn.
        resize: The filter for pictures of another size than the real ones, antialiased; ``none`` refuses them.
        extractor: Whose features are compared; the one made for such images by default.
        extractor_weights: A file, for an extractor that is not built in.
        beside: A second extractor; one that was not fitted to the data by default, where the first was; or ``none``.
        likelihood_images: How many test images a run's likelihood is taken of.
        likelihood: ``quick``, or ``full`` for minutes more and smaller errors.

    Raises:
        GenZooError: one subclass per cause: samples that cannot be read or measured, unknown names, missing weights.
    """
    _check_choice("resize", resize, (*FILTERS, "none"))
    _check_choice("likelihood", likelihood, ("quick", "full"))
    judging = Judging(extractor_weights, beside, likelihood_images, likelihood == "full")
    drawing = {"sampler": sampler, "options": dict(options or {}), "guidance": guidance, "classifier": classifier}
    asked = {**drawing, "num_samples": num_samples, "seed": seed, "extractor": extractor}
    request = checked(SampleConfig, asked, "genzoo.evaluate")
    for source in (samples, against, extractor_weights):
        _check_path(source)
    if isinstance(samples, str | Path) and (Path(samples) / CONFIG).is_file():
        samples = Run.open(samples)
    if isinstance(samples, Run):
        _check_lookers(samples.data.shape, request, judging)
        return samples.score(request, judging, _other_than_own(samples, data, against, size))
    return _scored(samples, _standard(data, against, size), request, judging, resize)


def _check_choice(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise InvalidConfig(f"{name} {value!r} is unknown (allowed: {', '.join(allowed)})")


def _check_path(source: "Run | Source | None") -> None:
    """What the file system does not even look for, such as a name of 300 characters, is nowhere."""
    if isinstance(source, str | Path):
        try:
            (Path(source) / CONFIG).stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            told = f"{reprlib.repr(str(source))} cannot be opened ({reason}): give another path"
            raise InvalidSamples(told) from error


def _check_lookers(shape: tuple[int, ...] | None, request: SampleConfig, judging: Judging) -> None:
    """Points are measured as they are: an extractor that nobody would use is not ignored in silence."""
    if shape is None or is_image(shape):
        return
    for name in (request.extractor, judging.beside, judging.extractor_weights):
        if name is not None:
            raise InvalidConfig(f"points have no features, they are measured as they are: leave out '{name}'")


def _other_than_own(run: Run, data: str | None, against: Source | None, size: int | None) -> Standard | None:
    if data not in (None, run.config.data) or size not in (None, run.config.size):
        raise InvalidConfig(
            f"a run is measured against its own data, {run.config.data}: leave out {data or size!r}, or say against"
        )
    return None if against is None else opposite(against)


def _standard(data: str | None, against: Source | None, size: int | None) -> Standard:
    if data is not None and against is None:
        return standards.of_data(load(data, size=size))
    if against is None or data is not None:
        given = "neither is given" if against is None else "both are given"
        raise InvalidSamples(f"say what to compare the samples with, --data NAME or --against SOURCE: {given}")
    if size is not None:
        raise InvalidConfig(f"size={size} is of a data set: give --data, or resize what the samples are compared with")
    return opposite(against)


def opposite(source: Source) -> Standard:
    """The real side that ``source`` is; raises :class:`InvalidSamples` where it is none."""
    if not isinstance(source, str | Path):
        return standards.of_samples(from_array(name_of(source), source))
    path = Path(source)
    if not path.exists():
        data, split = open_split(str(source))
        return standards.of_data(data, split or "test")
    if holds_moments(path):
        return standards.Published(path.name, read_moments(path))
    return standards.of_samples(read_images(path, AS_THEY_ARE))


def _scored(samples: Source, standard: Standard, request: SampleConfig, judging: Judging, resize: str) -> Record:
    zoo, shape = Zoo.load(), standard.wanted.shape
    _check_lookers(shape, request, judging)
    panel = judging.panel(zoo, _extractor(shape, request.extractor)) if shape or request.extractor else None
    sampled = read(samples, replace(standard.wanted, resize=resize), request, standard.num_samples)
    return scoring.score_samples(
        sampled, standard, panel or judging.panel(zoo, _extractor(sampled.samples.shape, None))
    )


def _extractor(shape: tuple[int, ...] | None, asked: str | None) -> str | None:
    """The name of the extractor for samples of ``shape``; None for points."""
    if shape is None or is_image(shape):
        return asked or default_extractor(shape or ())
    return None
