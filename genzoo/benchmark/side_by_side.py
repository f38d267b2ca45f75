"""Two results folders side by side, in a terminal, as Markdown and as a page."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from genzoo.benchmark.against import Comparison, Contrast, Pair, compare
from genzoo.benchmark.markdown import escape, line, rule
from genzoo.benchmark.page import environment
from genzoo.benchmark.text import LABEL, printed, title
from genzoo.files import write_text

HTML, MARKDOWN = "compare.html", "compare.md"
STYLES = {"better": "green", "worse": "red", "level": "dim", "": "dim"}


def write(folder: Path, other: Path) -> tuple[str, Path]:
    """Write ``compare.html`` and ``compare.md`` into ``folder``; returns what a terminal prints, and the page's path.

    Raises:
        RunError: one of them is not a results folder.
        StorageError: the disk refuses.
    """
    found = compare(folder, other)
    write_text(folder / MARKDOWN, to_markdown(found))
    write_text(folder / HTML, environment().get_template("compare.html").render(found=found, caption=caption(found)))
    return to_text(found), folder / HTML


def caption(found: Comparison) -> str:
    """How to read it."""
    one, other = found.names
    return (
        f"Differences are {one} less {other}. {one} is better or worse only where the 95 % interval of the difference "
        "excludes 0 (Welch's over training seeds; between single checkpoints the normal one, conditional on those two "
        "trainings); otherwise the two are level."
    )


def to_text(found: Comparison) -> str:
    """The headline of every pair, and below it every other number in which one is better."""
    parts: list[RenderableType] = []
    for data, pairs in found.data.items():
        head = Text.assemble((data, "bold"), f"  {title(pairs[0].headline.column)}")
        parts += [Text(), head, Text(), _grid(found.names, pairs), *map(Text, _below(pairs))]
    parts += [Text(), *(Text(text, style="dim") for text in (*_only(found), caption(found)))]
    return printed(parts)


def _grid(names: tuple[str, str], pairs: Sequence[Pair]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1), pad_edge=False, show_edge=False)
    for name in ("model", "sampler"):
        grid.add_column(name, overflow="fold", max_width=LABEL)
    for name in (*names, "difference"):
        grid.add_column(Text(name), justify="right", overflow="fold")
    grid.add_column("verdict")
    for pair in pairs:
        first = pair.headline
        words = "not comparable" if pair.apart else first.verdict or first.why
        verdict = Text(words, style=STYLES[first.verdict])
        grid.add_row(Text(pair.model), Text(pair.sampler), first.mine, first.theirs, first.difference, verdict)
    return grid


def _below(pairs: Sequence[Pair]) -> list[str]:
    told = [f"{pair.label} cannot be compared: {reason}" for pair in pairs for reason in pair.apart]
    for pair in pairs:
        for verdict in ("better", "worse"):
            others = [f"{one.column.title} ({one.difference})" for one in pair.contrasts[1:] if one.verdict == verdict]
            told += [f"{pair.label} is {verdict} in {', '.join(others)}"] if others else []
    return told + _circumstances(pairs)


def _circumstances(pairs: Sequence[Pair]) -> list[str]:
    """What else differs, each once with the rows it is about."""
    about: dict[str, list[str]] = {}
    for pair in pairs:
        for text in pair.told:
            about.setdefault(text, []).append(pair.label)
    return [text if len(who) == len(pairs) else f"{', '.join(who)}: {text}" for text, who in about.items()]


def _only(found: Comparison) -> list[str]:
    return [f"only in {name}: {', '.join(rows)}" for name, rows in zip(found.names, found.only, strict=True) if rows]


def to_markdown(found: Comparison) -> str:
    """Every number of every pair."""
    lines = [f"# {escape(found.names[0])} against {escape(found.names[1])}", "", escape(caption(found)), ""]
    for data, pairs in found.data.items():
        lines += [f"## {escape(data)}", ""]
        for pair in pairs:
            lines += _pair(found.names, pair)
        lines += [f"- {escape(text)}" for text in _circumstances(pairs)]
        lines += [""]
    lines += [f"- {escape(text)}" for text in (*_only(found), *found.skipped)]
    return "\n".join(lines) + "\n"


def _pair(names: tuple[str, str], pair: Pair) -> list[str]:
    lines = [f"### {escape(pair.label)}", "", _counted(pair), ""]
    lines += [f"- not comparable: {escape(reason)}" for reason in pair.apart] + [""][: len(pair.apart)]
    lines += [line(["", *map(escape, names), "difference", ""]), rule(1, 3)[:-1] + "| --- |"]
    return [*lines, *map(_contrast, pair.contrasts), ""]


def _counted(pair: Pair) -> str:
    return f"{pair.seeds[0]} and {pair.seeds[1]} training seeds" if pair.seeds != (1, 1) else "one training seed each"


def _contrast(one: Contrast) -> str:
    verdict = f"**{one.verdict}**" if one.verdict in ("better", "worse") else one.verdict or escape(one.why)
    return line([escape(title(one.column)), one.mine, one.theirs, one.difference, verdict])
