"""Which numbers may be ranked together."""

from typing import Any

from genzoo.evaluation.record import Record


def comparable(a: Record, b: Record) -> list[str]:
    """Why two records may not share a ranked column; empty if they may."""
    facts: dict[str, tuple[Any, Any]] = {
        "data": (a.data.fingerprint, b.data.fingerprint),
        "split": (a.data.split, b.data.split),
        "real examples": (a.data.n, b.data.n),
        "samples": (a.sampling and a.sampling.n, b.sampling and b.sampling.n),
        "quantiser": (a.data.levels, b.data.levels),
        "preparation": (a.data.preparation, b.data.preparation),
        "extractor": (a.extractor and a.extractor.key, b.extractor and b.extractor.key),
        "protocol": (a.protocol, b.protocol),
    }
    return [f"{name} differs: {one} and {other}" for name, (one, other) in facts.items() if one != other]
