"""Tables for a terminal and as Markdown."""

import html
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from genzoo.benchmark.columns import Column
from genzoo.benchmark.table import Row, Table

ARROWS = {"lower": " ↓", "higher": " ↑", None: ""}
LEGEND = "↓ lower and ↑ higher is better · bold: the best, and whatever the errors do not tell from it"
LABEL, WIDTH = 22, 100
STYLES = {"ceiling": "italic dim", "floor": "italic dim", "failed": "red", "model": ""}


def title(column: Column) -> str:
    """The column's title with an arrow to its better end."""
    return column.title + ARROWS[column.better]


def show(tables: Iterable[Table], console: Console) -> None:
    """Print every table within the console's width; columns that do not fit are left out, costs and doubles first."""
    for table in tables:
        console.print(to_rich(table, console.width))


def to_text(tables: Iterable[Table]) -> str:
    """The tables as wide as the terminal and in its styles; plain and 100 columns wide where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    with console.capture() as captured:
        show(tables, console)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def to_rich(table: Table, width: int = WIDTH) -> RenderableType:
    """The table in at most ``width`` columns, with its facts above and its notes and failures below."""
    kept = _fitting(table, width)
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for name in ("model", "sampler"):
        grid.add_column(name, overflow="fold", max_width=LABEL)
    for column in kept:
        grid.add_column(Text(_stacked(column)), justify="right", no_wrap=True)
    for row in table.rows:
        grid.add_row(Text(row.model), Text(row.sampler), *_cells(row, kept), style=STYLES.get(row.role, ""))
    head = Text.assemble((table.name, "bold"), "  ", (" · ".join(table.facts), "dim"))
    failures = [Text(f"✗ {row.label}: {row.reason}", style="red") for row in table.rows if row.reason]
    return Group(Text(), head, Text(), grid, *failures, *(Text(note, style="dim") for note in _below(table, kept)))


def _below(table: Table, kept: Sequence[Column]) -> list[str]:
    left_out = ", ".join(column.title for column in table.columns if column not in kept)
    return [*table.notes, *([f"no room here for: {left_out}"] if left_out else []), LEGEND]


def _stacked(column: Column) -> str:
    return title(column).replace(" ", "\n")


def _cells(row: Row, kept: Sequence[Column]) -> list[Text]:
    if row.reason:
        return [Text("failed")] + [Text("")] * (len(kept) - 1)
    cells = [row.cells[column.key] for column in kept]
    return [Text(cell.text, style="bold" if cell.best else "") for cell in cells]


def _fitting(table: Table, width: int) -> list[Column]:
    """The columns that fit, in order; the headline always stays."""
    names = ([row.model for row in table.rows], [row.sampler for row in table.rows])
    labels = sum(min(LABEL, max(7, *map(len, column))) + 2 for column in names)
    kept = sorted(table.columns, key=lambda column: column.drop)
    while len(kept) > 1 and labels + sum(_width(table, column) for column in kept) > width:
        kept.pop()
    return [column for column in table.columns if column in kept]


def _width(table: Table, column: Column) -> int:
    texts = [row.cells[column.key].text for row in table.rows if row.cells]
    return 2 + max(len(text) for text in (*_stacked(column).split("\n"), *texts))


def to_markdown(tables: Iterable[Table]) -> str:
    """Every column of every table, as GitHub's Markdown."""
    return "\n".join(_markdown(table) for table in tables) + f"\n{LEGEND}\n"


def _markdown(table: Table) -> str:
    lines = [f"## {_escape(table.name)}", "", _escape(" · ".join(table.facts)), ""]
    lines.append(_line(["model", "sampler", *map(title, table.columns)]))
    lines.append(_line(["---", "---", *["---:"] * len(table.columns)]))
    expected = [table.expected(column) for column in table.columns]
    if any(expected):
        lines.append(_line(["*a perfect model*", "", *expected]))
    lines += [_line(_markdown_cells(row, len(table.columns))) for row in table.rows]
    notes = [f"- {_escape(note)}" for note in table.notes]
    return "\n".join([*lines, "", *notes, *[""][: len(notes)]])


def _markdown_cells(row: Row, count: int) -> list[str]:
    if row.reason:
        values = [f"failed: {_escape(row.reason)}", *[""] * (count - 1)]
    else:
        values = [f"**{cell.text}**" if cell.best else cell.text for cell in row.cells.values()]
    mark = "*" if row.role in ("ceiling", "floor") else ""
    return [f"{mark}{_escape(row.model)}{mark}", _escape(row.sampler), *values]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Other people's text, shown as it is: no HTML, no Markdown, no end of the cell."""
    safe = html.escape(text, quote=False)
    for mark in "\\`*_[]|~":
        safe = safe.replace(mark, f"\\{mark}")
    return safe
