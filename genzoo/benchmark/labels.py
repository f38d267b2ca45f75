"""What rows are called: names, and the settings in which rows of one name differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from genzoo.benchmark.seeds import Trials

ALWAYS = ("num_steps", "guidance", "classifier")
"""Settings of a sampler that are told wherever it has them."""


def plain(value: Any, limit: int = 80) -> str:
    """``value`` as one printable line of at most ``limit`` characters: names and options are other people's text."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def labels(rows: Sequence[Trials]) -> list[tuple[str, str]]:
    """The (model, sampler) of every row; rows that no setting tells apart have their ids."""
    records = [row.first for row in rows]
    names = [record.model.name for record in records]
    models = _named(names, [_training_settings(row) for row in rows], names)
    samplers = [record.sampling.sampler if record.sampling and record.role == "model" else "" for record in records]
    samplings = list(zip(models, samplers, strict=True))
    samplers = _named(samplers, [_sampling_settings(row) for row in rows], samplings, ALWAYS)
    found = list(zip(models, samplers, strict=True))
    return [
        (model, sampler) if found.count((model, sampler)) == 1 else (f"{model} #{record.id[:6]}", sampler)
        for (model, sampler), record in zip(found, records, strict=True)
    ]


def _named(
    names: Sequence[str], settings: Sequence[Mapping[str, Any]], groups: Sequence[Any], always: Sequence[str] = ()
) -> list[str]:
    """Each name with the settings in which it differs from others of its group, and those that are always told."""
    found = []
    for name, mine, group in zip(names, settings, groups, strict=True):
        others = [other for same, other in zip(groups, settings, strict=True) if same == group]
        told = [key for key in mine if key in always or any(key in o and o[key] != mine[key] for o in others)]
        found.append(" ".join([plain(name), *(f"{plain(key, 24)}={plain(mine[key], 24)}" for key in told)]))
    return found


def _training_settings(row: Trials) -> dict[str, Any]:
    model, training = row.first.model, row.first.training
    seed = model.seed if len(row.all) == 1 else None
    settings: dict[str, Any] = {**model.options, "seed": seed, "version": model.plugin_version}
    if training is not None:
        loop = {"trainer": training.trainer, "budget": training.budget, "batch_size": training.batch_size}
        settings |= {**training.options, **loop}
    return {key: value for key, value in settings.items() if value is not None}


def _sampling_settings(row: Trials) -> dict[str, Any]:
    sampling = row.first.sampling
    if sampling is None or row.first.role != "model":
        return {}
    guidance = {} if sampling.guidance is None else {"guidance": f"{sampling.guidance:g}"}
    judges = {name: part.model for name, part in (sampling.references or {}).items()}
    settings = {**sampling.options, **guidance, **judges, **({"seed": sampling.seed} if len(row.all) == 1 else {})}
    return {key: value for key, value in settings.items() if value is not None}
