"""Tables as GitHub's Markdown: every group of columns."""

import html
from collections.abc import Sequence

from genzoo.benchmark.columns import LIKELIHOOD, Column
from genzoo.benchmark.likelihoods import Answer
from genzoo.benchmark.table import REFERENCES, Row, Table
from genzoo.benchmark.text import title
from genzoo.benchmark.verdicts import legend, verdict


def to_markdown(tables: Sequence[Table], keys: Sequence[str] = ()) -> str:
    """Every table with its verdict and notes: all columns, a part for each group; or only those with these ``keys``."""
    found = [_excerpt(table, keys) if keys else _whole(table) for table in tables]
    return "\n".join(text for lines in found for text in lines)


def line(cells: Sequence[str]) -> str:
    """A row; the cells are Markdown already."""
    return f"| {' | '.join(cells)} |"


def rule(words: int, numbers: int) -> str:
    """What stands under a head: columns of words on the left, of numbers on the right."""
    return line([*["---"] * words, *["---:"] * numbers])


def escape(text: str) -> str:
    """Other people's text, shown as it is: no HTML, no Markdown, no end of the cell."""
    safe = html.escape(text, quote=False)
    for mark in "\\`*_[]|~":
        safe = safe.replace(mark, f"\\{mark}")
    return safe


def _whole(table: Table) -> list[str]:
    (_, headline), *others = table.groups.items()
    lines = [*_head(table), *_rows(table, headline), "", *_around(table)]
    for name, columns in others:
        lines += [f"### {name}", "", *_rows(table, columns), ""]
    if table.likelihoods:
        lines += [f"### {LIKELIHOOD}", "", *_likelihoods(table.likelihoods), ""]
    return lines


def _excerpt(table: Table, keys: Sequence[str]) -> list[str]:
    columns = [column for column in table.columns if column.key in keys]
    return [*_head(table), *_rows(table, columns), "", *_around(table)]


def _head(table: Table) -> list[str]:
    return [f"## {escape(table.name)}", "", escape(" · ".join(table.facts)), ""]


def _around(table: Table) -> list[str]:
    notes = [f"- {escape(note)}" for note in table.notes]
    said = [escape(verdict(table)), ""] if verdict(table) else []
    return [*said, *notes, *[""][: len(notes)], legend(table), ""]


def _rows(table: Table, columns: Sequence[Column]) -> list[str]:
    lines = [line(["model", "sampler", *(escape(title(column)) for column in columns)]), rule(2, len(columns))]
    expected = [table.expected(column) for column in columns]
    if any(expected):
        lines.append(line(["*a perfect model*", "", *expected]))
    return lines + [line([*_names(row), *_values(row, columns)]) for row in table.rows]


def _names(row: Row) -> list[str]:
    mark = "*" if row.role in REFERENCES else ""
    why = f" (not ranked: {escape(row.broken)})" if row.broken else ""
    return [f"{mark}{escape(row.model)}{mark}{why}", escape(row.sampler)]


def _values(row: Row, columns: Sequence[Column]) -> list[str]:
    if row.reason:
        return [f"failed: {escape(row.reason)}", *[""] * (len(columns) - 1)]
    cells = [row.cells[column.key] for column in columns]
    return [f"**{cell.text}**" if cell.best else cell.text for cell in cells]


def _likelihoods(answers: Sequence[Answer]) -> list[str]:
    lines = [line(["kind", "model", "negative log-likelihood ↓", "unit", "examples", "calls per example"])]
    lines.append("| --- | --- | ---: | --- | ---: | ---: |")
    for answer in answers:
        text = f"**{answer.cell.text}**" if answer.cell.best else escape(answer.reason) or answer.cell.text
        unit = "" if answer.reason else answer.unit
        lines.append(line([escape(answer.kind), escape(answer.model), text, unit, answer.n, answer.calls]))
    return lines
