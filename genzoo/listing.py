"""What there is to choose from, as rows for programs and as text for people."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.zoo import Zoo


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


def matrix(zoo: "Zoo") -> Rows:
    """For every model what it offers and the trainers and samplers that go with it."""
    from genzoo.compatibility import compatibility

    return [asdict(row) for row in compatibility(zoo)]


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
    return f"offers {_joined(offered)}; trainer {models[0].trainer}, sampler {models[0].sampler}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same keys as aligned text under a heading, without the columns that are empty in every row."""
    keys = [key for key in (rows[0] if rows else ()) if any(row[key] for row in rows)]
    cells = [keys, *([_cell(row[key]) for key in keys] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else _joined(value)


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values) or "-"
