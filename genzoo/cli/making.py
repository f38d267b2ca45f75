"""The commands that make something: a trained model, samples."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genzoo.cli.options import Classifier, Guidance, Out, RunFolder, Seed, Settings
from genzoo.errors import FolderInUse, InvalidConfig

if TYPE_CHECKING:
    from genzoo.config import TrainConfig
    from genzoo.zoo import Zoo

_LOOP = ("batch_size", "ema", "clip", "warmup", "precision", "size")


def train(
    model: Annotated[str, typer.Argument(help="See 'genzoo list models'.")],
    data: Annotated[str, typer.Option(help="See 'genzoo list datasets'; or hub:ID, folder:PATH, parquet:PATH.")],
    trainer: Annotated[str | None, typer.Option(help="The model's own by default.")] = None,
    budget: Annotated[str, typer.Option(help="60s, 5m, 1h, 20000img, 20kimg or 500steps.")] = "60s",
    seed: Seed = 0,
    settings: Settings = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    track: Annotated[str | None, typer.Option(help="A tracker of Accelerate's, such as tensorboard.")] = None,
) -> None:
    """Train one model; prints the run folder.

    \b
    genzoo train ddpm --data digits --budget 5m
    genzoo train realnvp --data 8gaussians --set couplings=8 --set batch_size=256
    genzoo train vae --data folder:photos --out runs/mine --resume

    A --set goes to whoever has that option: the model, the trainer or the loop (batch_size, ema, clip, warmup,
    precision, size). model.KEY=, trainer.KEY= and loop.KEY= say which.
    """
    what = {"model": model, "data": data, "trainer": trainer, "budget": budget, "seed": seed}
    config = _train_config(what, settings or ())
    from genzoo.data import load

    loaded = load(config.data, size=config.size)  # before torch is imported: a wrong path is told at once
    from genzoo import run

    trained = run.start(config, out, data=loaded, resume=resume, track=track, progress=sys.stderr.isatty())
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process speaks for all
        print(trained.folder)


def sample(
    run: RunFolder,
    num_samples: Annotated[int, typer.Option("-n", "--num-samples", min=1, help="How many.")] = 64,
    sampler: Annotated[str | None, typer.Option(help="The model's own by default.")] = None,
    seed: Seed = 0,
    settings: Settings = None,
    label: Annotated[
        int | None, typer.Option(min=0, help="One class of a conditional model; every class in turn by default.")
    ] = None,
    guidance: Guidance = None,
    classifier: Classifier = None,
    out: Annotated[Path, typer.Option(help="A picture (.png) or the samples themselves (.npz).")] = Path("samples.png"),
) -> None:
    """Draw samples from a trained model.

    \b
    genzoo sample runs/ddpm-digits-1a2b3c4d --sampler ddim --set num_steps=20
    genzoo sample runs/ddpm-digits-1a2b3c4d -n 5000 --out samples.npz
    genzoo sample runs/flow-matching-digits-5e6f7a8b --label 3 --guidance 2 --out threes.png

    Samples of a conditional model are asked for by label: a column of the picture is a class, arr_1 of the .npz holds
    the labels.
    """
    if out.suffix not in (".png", ".npz"):
        raise InvalidConfig(f"--out {out} is neither a .png nor a .npz")
    if out.exists():
        raise FolderInUse(f"{out} is already there: give another --out")
    from genzoo.files import check_writable

    check_writable(out.parent)
    from genzoo.drawing import asked
    from genzoo.run import Run
    from genzoo.scoring import save_samples
    from genzoo.settings import parse_settings

    options = parse_settings(settings or ())
    config = asked("genzoo sample", sampler, options, guidance, classifier, seed, num_samples)
    drawn = Run.open(run).draw(config, label)
    save_samples(drawn.finished, out, drawn.samples.labels)
    print(out)


def _train_config(what: dict[str, Any], settings: Sequence[str]) -> "TrainConfig":
    """The configuration, every name in it checked before anything slow is imported."""
    from genzoo.config import TrainConfig, checked
    from genzoo.data import catalog
    from genzoo.zoo import Zoo

    zoo = Zoo.load()
    zoo.owner("model", what["model"])
    if what["trainer"] is not None:
        zoo.owner("trainer", what["trainer"])
    catalog.parse(what["data"])
    options = _assigned(zoo, what["model"], what["trainer"], settings) if settings else {}
    return checked(TrainConfig, {**what, **options}, "genzoo train")


def _assigned(zoo: "Zoo", model: str, trainer: str | None, settings: Sequence[str]) -> dict[str, Any]:
    from genzoo.compatibility import examples
    from genzoo.settings import assign, parse_settings

    names = {"model": model, "trainer": trainer or examples(zoo, model)[0].trainer}
    owned = {role: [option.name for option in zoo.options(role, name)] for role, name in names.items()}
    given = assign(parse_settings(settings), {**owned, "loop": _LOOP})
    return {"model_options": given["model"], "trainer_options": given["trainer"], **given["loop"]}
