"""The command line: a thin skin over the library, which is imported when a command needs it.

Exit status: 0 all well; 1 work had begun and something failed; 2 the request was wrong and nothing was begun; 130
interrupted. What goes wrong is told in one line; ``--debug`` anywhere on the line shows the traceback as well.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genzoo.errors import FolderInUse, GenZooError, InvalidConfig, UnknownName
from genzoo.listing import Kind

if TYPE_CHECKING:
    from genzoo.config import TrainConfig
    from genzoo.zoo import Zoo

_UsageError: Any = typer.BadParameter.__base__  # click's, or the copy of click that newer typers carry
_LOOP = ("batch_size", "ema", "clip", "warmup", "precision", "size")

app = typer.Typer(
    help="""Train, sample and compare generative models.

    \b
    genzoo quickstart                                the five families on built-in data
    genzoo list                                      what there is to choose from
    genzoo train ddpm --data digits --budget 60s     one model; prints its run folder
    genzoo sample RUN --out digits.png               look at it
    genzoo evaluate RUN                              measure it
    genzoo bench SUITE                               a table of your own

    Add --debug to any command for the traceback of an error.""",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option; repeatable.")]
Out = Annotated[Path | None, typer.Option(help="Output folder; a sensible one under runs/ by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'genzoo train' printed.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Everything random follows from it.")]


@app.callback(invoke_without_command=True)
def root(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print it.")] = False) -> None:
    if version:
        import genzoo

        print(f"genzoo {genzoo.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def quickstart(out: Out = None) -> int:
    """Compare the five families on built-in data.

    Trains, samples and evaluates them, prints the table and writes the report. What an earlier quickstart finished is
    not done again.
    """
    return bench("quickstart", out)


@app.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="One kind only.")] = None,
    compatible: Annotated[
        bool, typer.Option("--compatible", help="Which trainer and sampler go with a model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What there is to choose from.

    \b
    genzoo list models
    genzoo list --compatible      builds every model once, so it takes a while
    genzoo list plugins --json
    """
    from genzoo import listing
    from genzoo.zoo import Zoo

    zoo = Zoo.load()
    rows = {"compatible": listing.matrix(zoo)} if compatible else listing.inventory(zoo, [kind] if kind else list(Kind))
    print(json.dumps(rows, indent=2) if as_json else "\n\n".join(map(listing.table, filter(None, rows.values()))))


@app.command()
def info(name: str) -> None:
    """Explain a model, trainer or sampler.

    Prints its docstring, its options with their defaults, and what it offers or needs.

    \b
    genzoo info ddpm
    """
    from genzoo import listing
    from genzoo.zoo import ROLES, Zoo

    zoo = Zoo.load()
    roles = [role for role in ROLES if name in zoo.names(role)]
    if not roles:
        known = {known for role in ROLES for known in zoo.names(role)}
        raise UnknownName("model, trainer or sampler", name, known, "'genzoo list' shows them")
    print("\n\n".join(listing.description(zoo, role, name) for role in roles))


@app.command()
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
    genzoo train realnvp --data 8gaussians --set depth=8 --set batch_size=256
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


@app.command()
def sample(
    run: RunFolder,
    num_samples: Annotated[int, typer.Option("-n", "--num-samples", min=1, help="How many.")] = 64,
    sampler: Annotated[str | None, typer.Option(help="The model's own by default.")] = None,
    seed: Seed = 0,
    settings: Settings = None,
    out: Annotated[Path, typer.Option(help="A picture (.png) or the samples themselves (.npz).")] = Path("samples.png"),
) -> None:
    """Draw samples from a trained model.

    \b
    genzoo sample runs/ddpm-digits-1a2b3c4d --sampler ddim --set num_steps=20
    genzoo sample runs/ddpm-digits-1a2b3c4d -n 5000 --out samples.npz
    """
    if out.suffix not in (".png", ".npz"):
        raise InvalidConfig(f"--out {out} is neither a .png nor a .npz")
    if out.exists():
        raise FolderInUse(f"{out} is already there: give another --out")
    from genzoo.files import check_writable

    check_writable(out.parent)
    from genzoo.run import Run
    from genzoo.scoring import save_samples
    from genzoo.settings import parse_settings

    options = parse_settings(settings or ())
    save_samples(Run.open(run).sample(num_samples, sampler=sampler, options=options, seed=seed), out)
    print(out)


@app.command()
def evaluate(
    samples: Annotated[Path, typer.Argument(help="A run, an .npz file or a folder of images.")],
    data: Annotated[str | None, typer.Option(help="What to compare with; a run's own data by default.")] = None,
    extractor: Annotated[str | None, typer.Option(help="The data's own by default.")] = None,
    extractor_weights: Annotated[
        Path | None, typer.Option(help="A file, for an extractor that is not built in.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="For a run: the model's own by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure samples against data.

    \b
    genzoo evaluate runs/ddpm-digits-1a2b3c4d
    genzoo evaluate samples.npz --data digits --json
    """
    from genzoo import run

    record = run.evaluate(samples, data=data, extractor=extractor, extractor_weights=extractor_weights, sampler=sampler)
    print(json.dumps(record.as_json(), indent=2) if as_json else record)


@app.command()
def bench(
    suite: Annotated[str, typer.Argument(help="A shipped suite, or the path of a .yaml file.")],
    out: Out = None,
    settings: Settings = None,
    only: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only the runs it matches, such as 'ddpm*'.")
    ] = None,
) -> int:
    """Run a benchmark suite.

    Trains, samples and evaluates everything in it, prints the table and writes the report. What is finished is not
    done again. Status 1 if a run failed: the table says why.

    \b
    genzoo bench digits --out runs/digits
    genzoo bench mine.yaml --set budget=10s --set tables.0.num_samples=500
    """
    from genzoo import benchmark

    results = benchmark.bench(suite, out, settings or (), only)
    print(results.table())
    print(f"\nreport: {results.report}")
    return 1 if results.failed else 0


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="What 'genzoo bench --out' made.")]) -> None:
    """Write the report of a results folder; prints its path."""
    from genzoo import benchmark

    print(benchmark.report(folder))


@app.command()
def check(plugin: Annotated[str, typer.Argument(help="See 'genzoo list plugins'.")]) -> int:
    """Run the conformance checks on a plugin.

    \b
    genzoo check diffusion
    """
    from genzoo import listing, testing

    results = testing.check(plugin)
    rows = [{"check": r.name, "result": "ok" if r.passed else f"failed: {r.reason}"} for r in results]
    failed = sum(not result.passed for result in results)
    print(listing.table(rows), f"{len(results) - failed} passed, {failed} failed", sep="\n\n")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status; ``arguments`` are those of the process by default."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = app(args=[word for word in words if word != "--debug"], prog_name="genzoo", standalone_mode=False)
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        status, line = _verdict(error)
        print(f"error: {line}", file=sys.stderr)
    return status or 0


def _verdict(error: Exception) -> tuple[int, str]:
    if isinstance(error, GenZooError):
        return error.status, str(error)
    if isinstance(error, typer.Abort):
        return 130, "interrupted"
    if isinstance(error, _UsageError):
        command = error.ctx.command_path if error.ctx else "genzoo"
        message = " ".join(error.format_message().replace("Value error, ", "").split())
        return 2, f"{message.rstrip('.')}; see '{command} --help'"
    return 1, f"{type(error).__name__}: {' '.join(str(error).split())}; --debug shows where"


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
