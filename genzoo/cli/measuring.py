"""The commands that measure: samples, models, whole suites."""

from pathlib import Path
from typing import Annotated

import typer

from genzoo.cli.options import ResultsOut, Settings


def quickstart(out: ResultsOut = None) -> int:
    """Compare five families on built-in data.

    Trains, samples and evaluates them, prints the table and writes the report. What an earlier quickstart finished is
    not done again.
    """
    return bench("quickstart", out)


def bench(
    suite: Annotated[str, typer.Argument(help="A shipped suite, or the path of a .yaml file.")],
    out: ResultsOut = None,
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
    genzoo bench full-recipes --set dry_run=true     two steps of everything
    """
    from genzoo import benchmark

    results = benchmark.bench(suite, out, settings or (), only)
    print(results.table())
    print(f"\nreport: {results.report}")
    return 1 if results.failed else 0


def report(
    folder: Annotated[Path, typer.Argument(help="What 'genzoo bench --out' made.")],
    against: Annotated[
        Path | None, typer.Option(metavar="OTHER", help="Another results folder, to compare it with.")
    ] = None,
) -> None:
    """Write the report of a results folder; prints its path.

    With --against, prints the two folders side by side and writes compare.html and compare.md into the first.

    \b
    genzoo report runs/digits
    genzoo report runs/digits --against runs/digits-before
    """
    from genzoo import benchmark

    if against is None:
        print(benchmark.report(folder))
        return
    text, page = benchmark.compare(folder, against)
    print(text)
    print(f"\ncomparison: {page}")
