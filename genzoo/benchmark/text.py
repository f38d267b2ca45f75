"""Tables for a terminal: the headline's group of columns, as many as fit."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from genzoo.benchmark.columns import Column
from genzoo.benchmark.table import REFERENCES, Row, Table
from genzoo.benchmark.verdicts import legend, verdict

ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
LABEL, WIDTH = 22, 100
STYLES = {**dict.fromkeys(REFERENCES, "italic dim"), "failed": "red", "unranked": "dim", "model": ""}


def title(column: Column) -> str:
    """The column's title with an arrow to its better end."""
    return column.title + ARROWS[column.better]


def show(tables: Iterable[Table], console: Console) -> None:
    """Print every table within the console's width; columns that do not fit are left out, doubles first."""
    for table in tables:
        console.print(to_rich(table, console.width))


def to_text(tables: Iterable[Table]) -> str:
    """The tables as wide as the terminal and in its styles; plain and 100 columns wide where there is none."""
    return printed([to_rich(table, terminal().width) for table in tables])


def terminal() -> Console:
    """A console as wide as the terminal, or 100 columns wide where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    return console


def printed(parts: Iterable[RenderableType]) -> str:
    """What the terminal shows of these parts, as text."""
    console = terminal()
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def to_rich(table: Table, width: int = WIDTH) -> RenderableType:
    """The table in at most ``width`` columns, with its facts above; verdict, notes and failures below."""
    kept = _fitting(table, width)
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for name in ("model", "sampler"):
        grid.add_column(name, overflow="fold", max_width=LABEL)
    for column in kept:
        grid.add_column(Text(_stacked(column)), justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(Text(row.model), Text(row.sampler), *_cells(row, kept), style=STYLES.get(row.role, ""))
    if any(expected := [table.expected(column) for column in kept]):
        grid.add_row(Text("a perfect model"), "", *map(Text, expected), style="italic dim")
    head = Text.assemble((table.name, "bold"), "  ", (" · ".join(table.facts), "dim"))
    failures = [Text(f"✗ {row.label}: {row.reason}", style="red") for row in table.rows if row.reason]
    said = [Text(text) for text in (verdict(table),) if text]
    below = [Text(note, style="dim") for note in _below(table, kept)]
    return Group(Text(), head, Text(), grid, *failures, *said, *below)


def _below(table: Table, kept: Sequence[Column]) -> list[str]:
    left_out = ", ".join(column.title for column in _headline_group(table) if column not in kept)
    elsewhere = ", ".join([*list(table.groups)[1:], *(["Likelihood"] if table.likelihoods else [])])
    return [
        *table.notes,
        *([f"no room here for: {left_out}"] if left_out else []),
        *([f"in the report: {elsewhere}"] if elsewhere else []),
        legend(table),
    ]


def _headline_group(table: Table) -> tuple[Column, ...]:
    return next(iter(table.groups.values()))


def _stacked(column: Column) -> str:
    return title(column).replace(", ", "\n").replace(" ", "\n")


def _cells(row: Row, kept: Sequence[Column]) -> list[Text]:
    if row.reason:
        return [Text("failed")] + [Text("")] * (len(kept) - 1)
    return [
        Text(_shown(row, column, headline=column is kept[0]), style="bold" if row.cells[column.key].best else "")
        for column in kept
    ]


def _shown(row: Row, column: Column, *, headline: bool) -> str:
    """Only the headline has its error here: there is no room for the others'."""
    cell = row.cells[column.key]
    return cell.text if headline else cell.value


def _fitting(table: Table, width: int) -> list[Column]:
    """The columns that fit, in order; the headline always stays."""
    names = ([row.model for row in table.rows], [row.sampler for row in table.rows])
    labels = sum(min(LABEL, max(7, *map(len, column))) + 2 for column in names)
    kept = sorted(_headline_group(table), key=lambda column: column.drop)
    while len(kept) > 1 and labels + sum(_width(table, column) for column in kept) > width:
        kept.pop()
    return [column for column in table.columns if column in kept]


def _width(table: Table, column: Column) -> int:
    headline = column is table.headline
    texts = [_shown(row, column, headline=headline) for row in table.rows if row.cells]
    return 2 + max(len(text) for text in (*_stacked(column).split("\n"), *texts))
