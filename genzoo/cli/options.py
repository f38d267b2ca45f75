"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option; repeatable.")]
Out = Annotated[Path | None, typer.Option(help="Output folder; a sensible one under runs/ by default.")]
ResultsOut = Annotated[Path | None, typer.Option("--out", help="Results folder; results/SUITE by default.")]
Guidance = Annotated[
    float | None,
    typer.Option(min=0, metavar="W", help="How strongly labels are followed: p(x) p(y|x)^W; two calls of the network."),
]
Classifier = Annotated[
    str | None, typer.Option(metavar="run:DIR", help="A trained classifier that guides, in place of the model itself.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'genzoo train' printed.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Everything random follows from it.")]
