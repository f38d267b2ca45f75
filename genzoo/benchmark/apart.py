"""Which records may stand in one table, and which of them break the regime that was asked for."""

from collections.abc import Iterable, Sequence

from genzoo import regimes
from genzoo.benchmark.labels import plain
from genzoo.benchmark.seeds import key, settings
from genzoo.evaluation.comparability import comparable
from genzoo.evaluation.record import Record


def groups(records: Iterable[Record]) -> list[list[Record]]:
    """Records that may share a table, by name of the data set and then the largest first.

    A reference row stands in every table that it is comparable with. A failed run stands with finished runs of its
    model, else with others on its data.
    """
    found: list[list[Record]] = []
    for record in sorted(records, key=_order):
        homes = _homes(record, found)
        if not homes:
            found.append([record])
        for home in homes if record.role != "model" and record.status == "ok" else homes[:1]:
            home.append(record)
    return sorted(found, key=lambda group: (group[0].data.name, -len(group)))


def reasons(group: Sequence[Record], groups: Sequence[Sequence[Record]]) -> tuple[str, ...]:
    """Why other tables on the same data are not this one."""
    others = [other[0] for other in groups if other[0].data.name == group[0].data.name and other is not group]
    found = dict.fromkeys(plain(reason, 200) for other in others for reason in why_not(group[0], other))
    return tuple(f"Not comparable with another table on {plain(group[0].data.name)}: {reason}" for reason in found)


def why_not(one: Record, other: Record) -> list[str]:
    """Why two records may not share a table; empty if they may."""
    found = comparable(one, other)
    if one.role == other.role == "model" and regime(one) != regime(other):
        found.append(f"regime differs: {regime(one)} and {regime(other)}")
    return found


def regime(record: Record) -> str:
    """What its suite asked to be equal, and how much of it where that was said."""
    told = [name if target is None else f"{name} at {target:g}" for name, target in record.regimes.items()]
    return " and ".join(told) or "none"


def regime_breaks(records: Sequence[Record]) -> dict[str, str]:
    """Reasons by the id of each record that breaks the regime of its table."""
    models = [record for record in records if record.role == "model" and record.status == "ok"]
    asked = models[0].regimes if models else {}
    found: dict[str, list[str]] = {}
    for regime, target in asked.items():
        for id, reason in regimes.check(models, regime, target).items():
            found.setdefault(id, []).append(reason)
    return {id: plain("; ".join(reasons), 300) for id, reasons in found.items()}


def _order(record: Record) -> tuple[bool, bool]:
    """Finished models first, then references, then what failed."""
    return record.status != "ok", record.role != "model"


def _homes(record: Record, found: Sequence[list[Record]]) -> list[list[Record]]:
    same = [group for group in found if group[0].data.name == record.data.name]
    if record.status == "ok":
        return [group for group in same if not why_not(group[0], record)]
    mine = key(settings(record))
    return sorted(same, key=lambda g: (all(key(settings(r)) != mine for r in g), regime(g[0]) != regime(record)))
