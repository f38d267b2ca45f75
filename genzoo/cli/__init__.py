"""The command line: a thin skin over the library, which is imported when a command needs it.

Exit status: 0 all well; 1 work had begun and something failed; 2 the request was wrong and nothing was begun; 130
interrupted. What goes wrong is told in one line; ``--debug`` anywhere on the line shows the traceback as well.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from genzoo.cli.evaluating import evaluate
from genzoo.cli.looking import check, doctor, info, list_
from genzoo.cli.making import sample, train
from genzoo.cli.measuring import bench, quickstart, report
from genzoo.errors import GenZooError

_UsageError: Any = typer.BadParameter.__base__  # click's, or the copy of click that newer typers carry

app = typer.Typer(
    help="""Train, sample and compare generative models.

    \b
    genzoo quickstart                                five families on built-in data
    genzoo list                                      what there is to choose from
    genzoo train ddpm --data digits --budget 60s     one model; prints its run folder
    genzoo sample RUN --out digits.png               look at it
    genzoo evaluate RUN                              measure it
    genzoo bench SUITE                               a table of your own
    genzoo doctor                                    are the numbers right on this machine?

    Add --debug to any command for the traceback of an error.""",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def root(context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print it.")] = False) -> None:
    if version:
        import genzoo

        print(f"genzoo {genzoo.__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


for command in (quickstart, list_, info, train, sample, evaluate, bench, report, check, doctor):
    app.command(command.__name__.strip("_"))(command)


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
