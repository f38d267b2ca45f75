"""The report: one static page (HTML), the same tables as Markdown, and plotly's script beside them.

The page holds its pictures and its data; it needs no network and can be opened from a disk. Everything that came from a
plugin, a data set or a suite is escaped: by jinja's autoescape in HTML, by its ``tojson`` inside the page's JSON, and
once more in charts, whose texts plotly reads as markup.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import plotly.offline

from genzoo.benchmark import charts
from genzoo.benchmark.charts import Figure
from genzoo.benchmark.columns import LIKELIHOOD
from genzoo.benchmark.costs import CHARTED
from genzoo.benchmark.labels import plain
from genzoo.benchmark.markdown import to_markdown
from genzoo.benchmark.page import environment
from genzoo.benchmark.points import Plate
from genzoo.benchmark.store import RECORD, Entry, Results, load
from genzoo.benchmark.table import Row, Table, build
from genzoo.benchmark.verdicts import finding, legend, verdict
from genzoo.data.points import LAWS, density
from genzoo.evaluation.record import Record
from genzoo.files import write_atomically, write_text
from genzoo.images import is_image

HTML, MARKDOWN, PLOTLY = "report.html", "report.md", "plotly.min.js"


Details = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class Card:
    """One row's samples, and everything that its records say, each under its name."""

    anchor: str
    row: Row
    colour: str
    picture: str
    records: tuple[tuple[str, Details], ...]


@dataclass(frozen=True)
class Chart:
    """A figure under a heading; ``colour`` marks the model it is about."""

    heading: str
    figure: Figure
    colour: str = ""


@dataclass(frozen=True)
class Section:
    """One table with its pictures and charts."""

    anchor: str
    table: Table
    cards: tuple[Card, ...]
    costs: tuple[Chart, ...]
    trade: tuple[Chart, ...]
    losses: tuple[Chart, ...]

    @property
    def legend(self) -> tuple[tuple[str, str, str], ...]:
        """The models with the colours and shapes of their markers."""
        models = charts.by_model(self.table)
        return tuple((model, charts.colour(i), charts.symbol(i)) for i, model in enumerate(models))

    @property
    def tabs(self) -> tuple[str, ...]:
        """The names of the table's parts, the headline's first."""
        return (*self.table.groups, *((LIKELIHOOD,) if self.table.likelihoods else ()))

    @property
    def finding(self) -> str:
        return finding(self.table)

    @property
    def verdict(self) -> str:
        return verdict(self.table)

    @property
    def meaning(self) -> str:
        """What ± and bold mean here."""
        return legend(self.table)

    @property
    def are_points(self) -> bool:
        return not is_image(self.table.rows[0].record.data.shape)


def render(folder: Path) -> Path:
    """Write ``report.html``, ``report.md`` and ``plotly.min.js`` into a results folder; returns the page's path.

    Raises :class:`genzoo.errors.RunError` when ``folder`` is not a results folder and
    :class:`genzoo.errors.StorageError` when the disk refuses.
    """
    results = load(folder)
    tables = build(entry.record for entry in results.entries)
    write_text(folder / MARKDOWN, f"# {folder.absolute().name}\n\n{to_markdown(tables)}")
    script = plotly.offline.get_plotlyjs().encode()
    if not (folder / PLOTLY).is_file() or (folder / PLOTLY).stat().st_size != len(script):
        write_atomically(folder / PLOTLY, script)
    write_text(folder / HTML, page(results, tables))
    return folder / HTML


def page(results: Results, tables: Sequence[Table]) -> str:
    """The page as HTML."""
    return (
        environment()
        .get_template("report.html")
        .render(
            name=results.folder.absolute().name,
            sections=[_section(f"table-{i}", table, results.entries) for i, table in enumerate(tables, 1)],
            when=_when(results.entries),
            facts=_page_facts([entry.record for entry in results.entries]),
            glossary=_glossary(tables),
            skipped=results.skipped,
            plotly=PLOTLY,
        )
    )


def _section(anchor: str, table: Table, entries: Sequence[Entry]) -> Section:
    models = {model: i for i, model in enumerate(charts.by_model(table))}
    by_record = {id(entry.record): entry for entry in entries}
    owned = [(row, [by_record[id(record)] for record in row.trials.all]) for row in table.rows]
    plate = Plate.of(density(table.name)) if table.name in LAWS else None
    cards = [
        Card(
            anchor=f"{anchor}-row-{i}",
            row=row,
            colour=charts.colour(models[row.model]) if row.model in models else "var(--muted)",
            picture=_picture(found[0], plate),
            records=tuple((_record_name(entry, len(found)), _details(entry)) for entry in found),
        )
        for i, (row, found) in enumerate(owned, 1)
    ]
    costs = [Chart(cost.title, figure) for cost in CHARTED if (figure := charts.cost_chart(table, cost))]
    trade = [Chart("precision against recall", figure)] if (figure := charts.trade_chart(table)) else []
    return Section(anchor, table, tuple(cards), tuple(costs), tuple(trade), tuple(_losses(owned, models)))


def _record_name(entry: Entry, count: int) -> str:
    return "record" if count == 1 else f"record of seed {entry.record.model.seed}"


def _losses(owned: Sequence[tuple[Row, Sequence[Entry]]], models: Mapping[str, int]) -> Iterator[Chart]:
    """One chart a row's first training, however often it was sampled."""
    wanted = [(row, found[0]) for row, found in owned if row.role in ("model", "unranked", "failed")]
    trainings = {entry.train_id: (row, entry) for row, entry in reversed(wanted)}
    for row, entry in reversed(trainings.values()):
        figure = charts.loss_chart(entry.log(), models.get(row.model, 0))
        if figure:
            yield Chart(row.model, figure, charts.colour(models.get(row.model, 0)))


def _picture(entry: Entry, plate: Plate | None) -> str:
    """The samples as a data URI, points over the true density where they were kept; empty where there are none."""
    points = entry.samples() if plate else None
    if plate and points is not None and points.ndim == 2 and points.shape[1] == 2:
        png: bytes | None = plate.draw(points)
    else:
        png = entry.picture()
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else ""


def _glossary(tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Every column that is shown, with what it means."""
    meanings = {column.title: column.help for table in tables for column in table.columns}
    return list(meanings.items())


def _when(entries: Sequence[Entry]) -> str:
    """When the newest record was written."""
    newest = max((entry.folder / RECORD).stat().st_mtime for entry in entries)
    return f"{datetime.fromtimestamp(newest, UTC):%d %B %Y, %H:%M} UTC"


def _page_facts(records: Sequence[Record]) -> list[tuple[str, str]]:
    """Protocol, code and machine: each with every value that occurs."""
    seen: dict[str, dict[str, None]] = {}
    for record in records:
        parts = {"protocol": record.protocol, **record.code.model_dump(), **record.environment.model_dump()}
        for key, value in parts.items():
            seen.setdefault(key, {})[_compact(value)] = None
    return [(key, " / ".join(filter(None, values))) for key, values in seen.items() if any(values)]


def _details(entry: Entry) -> Details:
    """The record as groups of (name, value), with where it lies."""
    record = entry.record.as_json()
    groups = {key: value for key, value in record.items() if isinstance(value, Mapping)}
    rest = {key: value for key, value in record.items() if key not in groups}
    groups = {"record": {"training": entry.train_id, "sample set": entry.sample_id, **rest}, **groups}
    shown = {plain(name): _pairs(group) for name, group in groups.items()}
    return tuple((name, pairs) for name, pairs in shown.items() if pairs)


def _pairs(group: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((plain(key), _compact(value)) for key, value in group.items() if value not in (None, "", {}, []))


def _compact(value: Any) -> str:
    """A JSON value on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)} {_compact(part)}" for key, part in value.items() if part not in (None, "", {}))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_compact, value))}]"
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else plain(value, 400)
