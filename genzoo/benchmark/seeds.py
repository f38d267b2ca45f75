"""Records that differ only in the training seed, gathered: what one row of a table stands for."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from genzoo.evaluation.record import Record


@dataclass(frozen=True)
class Trials:
    """The finished records, one a training seed, and the failed ones of the same settings; never both empty."""

    finished: tuple[Record, ...] = ()
    failed: tuple[Record, ...] = ()

    @property
    def first(self) -> Record:
        """The record that stands for all where their settings are meant."""
        return (self.finished or self.failed)[0]

    @property
    def all(self) -> tuple[Record, ...]:
        return (*self.finished, *self.failed)


@dataclass
class _Gathering:
    """Trials in the making."""

    finished: list[Record]
    failed: list[Record] = field(default_factory=list)


def gather(records: Iterable[Record]) -> list[Trials]:
    """One :class:`Trials` for all records that differ only in the training seed, each in order of its seeds.

    A sampling seed that follows the training seed does not keep records apart. A failed run says less about itself: it
    joins the finished ones of its model, sampler and options if those are one group that lacks its seed.
    """
    ordered = sorted(records, key=lambda record: record.model.seed or 0)
    finished = [record for record in ordered if record.status == "ok"]
    found = [_Gathering(part) for group in _grouped(finished, _settings) for part in _one_a_seed(group)]
    for record in (record for record in ordered if record.status != "ok"):
        homes = [trials for trials in found if _takes(trials, record)]
        if len(homes) == 1:
            homes[0].failed.append(record)
        else:
            found.append(_Gathering([], [record]))
    return [Trials(tuple(trials.finished), tuple(trials.failed)) for trials in found]


def settings(record: Record) -> dict[str, Any]:
    """What a record and another seed of it have in common as far as a failed run can tell: the key of a match."""
    sampling = record.sampling
    return {
        "role": record.role,
        "data": record.data.name,
        "model": record.model.name,
        "options": record.model.options,
        "sampler": sampling and sampling.sampler,
        "sampler_options": sampling and sampling.options,
        "guidance": sampling and sampling.guidance,
    }


def key(values: Any) -> str:
    """JSON values as text that is equal where they are."""
    return json.dumps(values, sort_keys=True)


def _settings(record: Record) -> str:
    """Everything but seeds, costs, findings and the machine."""
    training, beside = record.training, record.beside
    rest = {
        "data": record.data.model_dump(mode="json", exclude={"preprocessing"}),  # older ones lack it: see fingerprint
        "extractor": record.extractor and record.extractor.key,
        "beside": beside and beside.extractor.key,
        "n": record.sampling and record.sampling.n,
        "guides": record.sampling and {key: part.model for key, part in (record.sampling.references or {}).items()},
        "versions": [record.code.version, record.model.plugin, record.model.plugin_version],
        "precision": record.environment.precision,
        "training": training and [training.trainer, training.options, training.budget, training.batch_size],
        "protocol": [record.protocol, record.regimes],
    }
    return key({**settings(record), **rest})


def _grouped(records: Sequence[Record], by: Any) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(by(record), []).append(record)
    return list(groups.values())


def _one_a_seed(group: list[Record]) -> list[list[Record]]:
    """The group if no training seed is there twice; else its parts of one sampling seed, or every record alone."""
    if _distinct(group):
        return [group]
    parts = _grouped(group, lambda record: key(record.sampling and record.sampling.seed))
    return [part for whole in parts for part in ([whole] if _distinct(whole) else [[record] for record in whole])]


def _distinct(group: Sequence[Record]) -> bool:
    seeds = [record.model.seed for record in group]
    return len(group) == 1 or (None not in seeds and len(set(seeds)) == len(seeds))


def _takes(trials: _Gathering, failed: Record) -> bool:
    members = [*trials.finished, *trials.failed]
    seeds = {record.model.seed for record in members}
    return failed.model.seed not in seeds and key(settings(members[0])) == key(settings(failed))
