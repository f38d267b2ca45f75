"""The command that measures samples of anybody's."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.options import AsJson, Classifier, Guidance, Seed, Settings
from genzoo.errors import FolderInUse


def evaluate(
    samples: Annotated[
        str, typer.Argument(help="A run, an .npz, a folder of images or a diffusers pipeline, or a split: digits:test.")
    ],
    data: Annotated[
        str | None, typer.Option(help="The data set whose test split is the real side; a run's own by default.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="The real side, instead: a split, an .npz, a folder, or published moments (mu, sigma)."),
    ] = None,
    num_samples: Annotated[
        int | None, typer.Option("-n", "--num-samples", min=1, help="As the protocol says by default.")
    ] = None,
    seed: Seed = 0,
    sampler: Annotated[str | None, typer.Option(help="For a run: the model's own by default.")] = None,
    settings: Settings = None,
    guidance: Guidance = None,
    classifier: Classifier = None,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels a side, for --data that is resized.")] = None,
    resize: Annotated[
        str, typer.Option(help="For pictures of another size: bicubic, lanczos, bilinear, box; none refuses them.")
    ] = "bicubic",
    extractor: Annotated[str | None, typer.Option(help="Whose features; the data's own by default.")] = None,
    extractor_weights: Annotated[
        Path | None, typer.Option(help="A file, for an extractor that is not built in.")
    ] = None,
    beside: Annotated[
        str | None, typer.Option(help="A second extractor, or none; by default where the first was fitted to the data.")
    ] = None,
    likelihood_images: Annotated[int, typer.Option(min=1, help="Of how many test images a likelihood is taken.")] = 256,
    likelihood: Annotated[str, typer.Option(help="How much it may cost: quick, or full.")] = "quick",
    out: Annotated[Path | None, typer.Option(help="Write the record to this file as well.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure samples against data.

    \b
    genzoo evaluate runs/ddpm-digits-1a2b3c4d --sampler ddim --set num_steps=20
    genzoo evaluate samples.npz --data digits --json
    genzoo evaluate folder/of/images --data fashion-mnist --resize lanczos
    genzoo evaluate fashion-mnist:train --against fashion-mnist:test
    genzoo evaluate pipeline/ --data digits -n 500 --set num_inference_steps=50
    """
    from genzoo.files import check_writable, is_there
    from genzoo.settings import parse_settings

    if out is not None:
        check_writable(out.parent)
        if is_there(out):
            raise FolderInUse(f"{out} is already there: give another --out")
    options = parse_settings(settings or ())
    from genzoo import assessment, summary
    from genzoo.evaluation.record import write_record

    with _told_on_standard_error():
        record = assessment.evaluate(
            samples,
            data=data,
            against=against,
            size=size,
            num_samples=num_samples,
            sampler=sampler,
            options=options,
            guidance=guidance,
            classifier=classifier,
            seed=seed,
            resize=resize,
            extractor=extractor,
            extractor_weights=extractor_weights,
            beside=beside,
            likelihood_images=likelihood_images,
            likelihood=likelihood,
        )
    if out is not None:
        write_record(out, record)
    print(json.dumps(record.as_json(), indent=2) if as_json else summary.summary(record))


@contextmanager
def _told_on_standard_error() -> Iterator[None]:
    """What the library is doing, and what it warns of, one line each."""
    log, handler = logging.getLogger("genzoo"), logging.StreamHandler()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
            yield
    finally:
        log.removeHandler(handler)
