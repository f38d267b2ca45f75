"""The report's charts, as plotly's JSON.

Colours are names of CSS variables (``var(--muted)``), which the page resolves for a light or a dark screen.
"""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genzoo.benchmark.columns import Column
from genzoo.benchmark.labels import plain
from genzoo.benchmark.table import Row, Table

Figure = dict[str, Any]
Point = tuple[float, float]
COLOURS, SYMBOLS = 8, ("circle", "square", "diamond")


def colour(index: int) -> str:
    """The CSS colour of the model with this index; they repeat after eight, and the marker's shape tells them apart."""
    return f"var(--c{index % COLOURS + 1})"


def symbol(index: int) -> str:
    """The shape of that model's markers."""
    return SYMBOLS[index // COLOURS % len(SYMBOLS)]


def pareto(points: Iterable[Point]) -> list[Point]:
    """The points that no other beats in cost and in distance at once, cheapest first."""
    front: list[Point] = []
    for x, y in sorted(points):
        if not front or y < front[-1][1]:
            front.append((x, y))
    return front


def cost_chart(table: Table, cost: Column) -> Figure | None:
    """The headline against a cost, with the Pareto fronts and the reference rows.

    None where all cost the same, or where it was measured on different machines.
    """
    points = {row.label: point for row in table.models if (point := _point(row, table.headline, cost))}
    if len({row.cells[cost.key].reading.kind for row in table.models if row.label in points}) > 1:
        return None  # seconds of different machines
    costs, front = [x for x, _ in points.values()], pareto(points.values())
    if not costs or max(costs) < 1.1 * min(costs):
        return None
    span = (min(costs) / 1.8, max(costs) * 1.8)
    references = [_reference(row, table.headline, span) for row in table.rows if row.role in ("ceiling", "floor")]
    models = [_model(rows, table.headline, points, i) for i, rows in enumerate(by_model(table).values())]
    families = [_family(rows, points, i) for i, rows in by_family(table)]
    drawn = [trace for trace in (*references, _front(front, span), *families, *models) if trace["x"]]
    if logarithmic := all(y > 0 for _, y in points.values()):
        drawn = [trace for trace in drawn if min(trace["y"]) > 0]
    heights = [y for trace in drawn for y in trace["y"]]
    xaxis = {**_logarithmic(span), "title": {"text": cost.unit or cost.title}, "range": [math.log10(x) for x in span]}
    yaxis = {**(_logarithmic(heights) if logarithmic else {}), "title": {"text": table.headline.title}}
    return {"data": drawn, "layout": {"xaxis": xaxis, "yaxis": yaxis}}


def trade_chart(table: Table) -> Figure | None:
    """Precision against recall, of models and of real data; None where a table has not both.

    One model's samplings are joined in order of their recall: guidance draws the curve of what it trades.
    """
    known = {column.key: column for column in table.columns}
    if not {"precision", "recall"} <= known.keys():
        return None
    precision, recall = known["precision"], known["recall"]
    points = {row.label: point for row in table.models if (point := _both(row, recall, precision))}
    real = [row for row in table.rows if row.role == "ceiling" and _both(row, recall, precision)]
    drawn = [_model(rows, precision, points, i) for i, rows in enumerate(by_model(table).values())]
    drawn = [trace for trace in (*(_landmark(row, recall, precision) for row in real), *drawn) if trace["x"]]
    axes = {"xaxis": {"title": {"text": recall.title}}, "yaxis": {"title": {"text": precision.title}}}
    return {"data": drawn, "layout": axes} if points else None


def by_model(table: Table) -> dict[str, list[Row]]:
    """The ranked rows by the model that was sampled; its place in the order gives its colour everywhere."""
    models: dict[str, list[Row]] = {}
    for row in table.models:
        models.setdefault(row.model, []).append(row)
    return models


def by_family(table: Table) -> list[tuple[int, list[Row]]]:
    """The ranked rows by the plugin of their model, with the colour of that family's first model."""
    families: dict[str | None, tuple[int, list[Row]]] = {}
    for i, rows in enumerate(by_model(table).values()):
        families.setdefault(rows[0].record.model.plugin, (i, []))[1].extend(rows)
    return list(families.values())


def loss_chart(log: Sequence[Mapping[str, Any]], index: int) -> Figure | None:
    """Each loss against the examples seen; None where nothing was logged."""
    names = list(dict.fromkeys(name for line in log for name in line.get("loss", ())))
    images = [line["images"] for line in log]
    if len(log) < 2 or not names:
        return None
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": html.escape(name),
            "x": images,
            "y": [_finite(line["loss"].get(name)) for line in log],
            "line": {"width": 1.5, "color": colour(index) if i == 0 else "var(--muted)", "dash": _dash(i)},
        }
        for i, name in enumerate(names)
    ]
    axes = {"xaxis": {"title": {"text": "examples seen"}, "nticks": 4}, "yaxis": {"nticks": 5}}
    return {"data": data, "layout": {**axes, "showlegend": len(names) > 1}}


def _finite(value: float | None) -> float | None:
    """None where a line has a gap: JSON knows no NaN."""
    return value if value is not None and math.isfinite(value) else None


def _dash(index: int) -> str:
    return ("solid", "dash", "dot", "dashdot")[index % 4]


def _logarithmic(values: Sequence[float]) -> Figure:
    """An axis that names the powers of ten where there are enough of them, or else their doubles and fives too."""
    ratio = max(values) / min(values)
    minor = {"dtick": "D1", "showgrid": False, "ticks": "outside", "tickcolor": "var(--line)"}
    if ratio > 30:
        return {"type": "log", "dtick": 1, "minor": minor}
    return {"type": "log", "dtick": "D2"} if ratio > 5 else {"type": "log"}


def _point(row: Row, headline: Column, cost: Column) -> Point | None:
    """(cost, headline) of a row that has both, and a cost that a logarithmic axis can show."""
    point = _both(row, cost, headline)
    return point if point and point[0] > 0 else None


def _both(row: Row, first: Column, second: Column) -> Point | None:
    """The two values of a row that has both."""
    x, y = (row.cells[column.key].reading.value if column.key in row.cells else None for column in (first, second))
    return None if x is None or y is None else (x, y)


def _landmark(row: Row, x: Column, y: Column) -> Figure:
    """One row as a named cross."""
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [row.cells[x.key].reading.value],
        "y": [row.cells[y.key].reading.value],
        "text": [html.escape(row.model)],
        "textposition": "bottom center",
        "textfont": {"size": 11, "color": "var(--muted)"},
        "marker": {"size": 9, "symbol": "x-thin-open", "color": "var(--muted)"},
        "hoverinfo": "skip",
    }


def _model(rows: Sequence[Row], headline: Column, points: Mapping[str, Point], index: int) -> Figure:
    """One model's samplings, joined in order of their cost."""
    known = [(points[row.label], row) for row in rows if row.label in points]
    shown = sorted(known, key=lambda pair: pair[0])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": html.escape(rows[0].model),
        "x": [x for (x, _), _ in shown],
        "y": [y for (_, y), _ in shown],
        "text": [html.escape(f"{row.label}: {row.cells[headline.key].text}") for _, row in shown],
        "hoverinfo": "text",
        "line": {"width": 1, "color": colour(index)},
        "marker": {
            "size": 11,
            "color": colour(index),
            "symbol": symbol(index),
            "line": {"width": 1.5, "color": "var(--paper)"},
        },
        "error_y": _errors([row.cells[headline.key].reading.half_width for _, row in shown], colour(index)),
    }


def _errors(half_widths: Sequence[float | None], color: str) -> Figure:
    """95 % intervals."""
    return {"type": "data", "array": [half or 0.0 for half in half_widths], "thickness": 1, "width": 0, "color": color}


def _family(rows: Sequence[Row], points: Mapping[str, Point], index: int) -> Figure:
    """The front of one family, a staircase between its own points; nothing where one point is all of it."""
    front = pareto(points[row.label] for row in rows if row.label in points)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"front of {html.escape(plain(rows[0].record.model.plugin))}",
        "x": [x for x, _ in front] if len(front) > 1 else [],
        "y": [y for _, y in front] if len(front) > 1 else [],
        "line": {"width": 5, "color": colour(index), "shape": "hv"},
        "opacity": 0.25,
        "hoverinfo": "skip",
    }


def _front(front: Sequence[Point], span: Point) -> Figure:
    """The Pareto front as a staircase that goes on to the right edge."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*(x for x, _ in front), span[1]],
        "y": [*(y for _, y in front), front[-1][1]],
        "line": {"width": 6, "color": "var(--front)", "shape": "hv"},
        "hoverinfo": "skip",
    }


def _reference(row: Row, headline: Column, span: Point) -> Figure:
    value = row.cells[headline.key].reading.value
    return {
        "type": "scatter",
        "mode": "lines+text",
        "x": [] if value is None else list(span),
        "y": [] if value is None else [value, value],
        "text": [html.escape(row.model), ""],
        "textposition": "top right",
        "textfont": {"size": 11, "color": "var(--muted)"},
        "line": {"width": 1, "color": "var(--muted)", "dash": "dash"},
        "hoverinfo": "skip",
    }
