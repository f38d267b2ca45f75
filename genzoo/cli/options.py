"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option; repeatable.")]
Out = Annotated[Path | None, typer.Option(help="Output folder; a sensible one under runs/ by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that 'genzoo train' printed.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Everything random follows from it.")]
