"""What there is to choose from, as rows for programs and as text for people."""

import inspect
import itertools
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.zoo import Zoo


GAP = 2


class Kind(StrEnum):
    """What can be listed."""

    MODELS = "models"
    TRAINERS = "trainers"
    SAMPLERS = "samplers"
    EXTRACTORS = "extractors"
    METRICS = "metrics"
    DATASETS = "datasets"
    PLUGINS = "plugins"


Rows = list[dict[str, Any]]


def inventory(zoo: "Zoo", kinds: Iterable[Kind]) -> dict[str, Rows]:
    """The rows of each kind; nothing that a plugin names but does not import is imported."""
    return {kind.value: _rows(zoo, kind) for kind in kinds}


def _rows(zoo: "Zoo", kind: Kind) -> Rows:
    if kind is Kind.PLUGINS:
        return [asdict(plugin) for plugin in zoo.plugins]
    if kind is Kind.DATASETS:
        from genzoo.data.catalog import CATALOG

        return [{"dataset": name, "description": text} for name, text in CATALOG.items()]
    role = kind.value.removesuffix("s")
    return [{role: name, "plugin": zoo.owner(role, name).name} for name in zoo.names(role)]


def matrix(zoo: "Zoo") -> dict[str, Rows]:
    """For every model what it offers and the trainers and samplers that go with it; why others cannot be built."""
    from genzoo.compatibility import compatibility

    rows = [asdict(row) for row in compatibility(zoo)]
    return {"compatible": [row for row in rows if not row["reason"]], "broken": [row for row in rows if row["reason"]]}


def description(zoo: "Zoo", role: str, name: str) -> str:
    """Everything about one name: whose it is, the docstring, the options, what it offers or needs."""
    options = [
        {"option": option.name, "type": option.type, "default": "required" if option.required else repr(option.default)}
        for option in zoo.options(role, name)
    ]
    docstring = inspect.cleandoc(zoo.factory(role, name).__doc__ or "")
    article = "an" if role == "extractor" else "a"
    title = f"{name}: {article} {role} of {zoo.owner(role, name)}"
    parts = [title, docstring, table(options), _abilities(zoo, role, name)]
    return "\n\n".join(filter(None, parts))


def _abilities(zoo: "Zoo", role: str, name: str) -> str:
    if role in ("extractor", "metric"):
        return ""
    from genzoo.capabilities import offers
    from genzoo.compatibility import examples, needs

    if role != "model":
        return f"needs {_joined(need.__name__ for need in needs(zoo, role, name))}"
    models = examples(zoo, name)
    offered = dict.fromkeys(capability for model in models for capability in offers(model))
    sampled = f"sampler {models[0].sampler}" if models[0].sampler else "no samples"
    return f"offers {_joined(offered)}; trainer {models[0].trainer}, {sampled}"


def table(rows: Sequence[Mapping[str, Any]], width: int | None = None) -> str:
    """Rows of the same keys as aligned text under a heading, without the columns that are empty in every row.

    Where they are wider than ``width``, lists of names are folded; what is no list stays on one line.
    """
    keys = [key for key in (rows[0] if rows else ()) if any(row[key] for row in rows)]
    cells = [keys, *([_cell(row[key]) for key in keys] for row in rows)]
    lists = [any(not isinstance(row[key], str) for row in rows) for key in keys]
    widths = _fitted([list(column) for column in zip(*cells, strict=True)], lists, width)
    return "\n".join(line for row in cells for line in _lines(row, lists, widths))


def _fitted(columns: Sequence[Sequence[str]], lists: Sequence[bool], width: int | None) -> list[int]:
    """The columns' widths; while they are too wide together the widest list is narrowed, down to its longest name."""
    widths = [max(map(len, column)) for column in columns]
    least = [max(len(name) for cell in column for name in cell.split(" ")) for column in columns]
    while width is not None and sum(widths) + GAP * (len(widths) - 1) > width:
        foldable = [i for i, folds in enumerate(lists) if folds and widths[i] > least[i]]
        if not foldable:
            break
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _lines(row: Sequence[str], lists: Sequence[bool], widths: Sequence[int]) -> Iterator[str]:
    folded = [textwrap.wrap(cell, size, break_long_words=False, break_on_hyphens=False) if folds else [cell]
              for cell, folds, size in zip(row, lists, widths, strict=True)]  # fmt: skip
    for line in itertools.zip_longest(*folded, fillvalue=""):
        yield (" " * GAP).join(map(str.ljust, line, widths)).rstrip()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _joined(value)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values) or "-"
