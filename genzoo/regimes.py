"""Fair cost: which rows of a table do not have in common what their suite asks for.

``equal-parameters`` is about the parameters that sampling needs; ``equal-calls`` about rows passed through the network
for each sample; ``equal-training`` about seconds on one machine where every budget is in seconds, and else about
floating-point operations. Equal is within 5 % of what the suite says, or of the table's median, in which a training
that was sampled in several ways counts once. All of it is read from what was measured, nothing from what was asked for.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from genzoo.config import Budget, Regime
from genzoo.errors import InvalidConfig
from genzoo.evaluation.record import Record
from genzoo.provenance import trained_on

TOLERANCE = 0.05


@dataclass(frozen=True)
class Rule:
    """A quantity that has to be the same in all rows; ``unit`` follows a value that ``shape`` formats."""

    regime: Regime
    unit: str
    shape: str
    of: Callable[[Record], float | None]

    def broken(self, value: float | None, normal: float, whose: str) -> str | None:
        """How, in one line; None where it is kept. What was not measured is not taken for equal."""
        if value is None:
            return f"its {self.unit} are not known: {self.regime} cannot be checked"
        apart = abs(value - normal)
        if apart <= TOLERANCE * normal:
            return None
        share = f"{100 * apart / normal:,.1f} %" if normal else "more"
        than = f"{share} {'over' if value > normal else 'under'} {whose} {normal:{self.shape}}"
        return f"{value:{self.shape}} {self.unit}, {than}: {self.regime} allows {100 * TOLERANCE:g} %"


PARAMETERS = Rule(
    "equal-parameters",
    "parameters",
    ",.0f",
    lambda record: record.model.parameters.generator if record.model.parameters else None,
)
CALLS = Rule(
    "equal-calls",
    "calls a sample",
    ",.6g",
    lambda record: record.sampling.calls_per_sample if record.sampling else None,
)
OPERATIONS = Rule(
    "equal-training",
    "floating-point operations of training",
    ".3g",
    lambda record: record.training.flops if record.training else None,
)
SECONDS = Rule(
    "equal-training",
    "seconds of training",
    ",.1f",
    lambda record: record.training.seconds if record.training else None,
)


def check(records: Sequence[Record], regime: Regime, target: float | None = None) -> dict[str, str]:
    """How each record of one table that breaks ``regime`` does, in one line, by its id.

    ``target`` is what the suite says that each should have. References and failed runs have nothing to keep to.
    """
    models = [record for record in records if record.role == "model" and record.status == "ok"]
    if regime != "equal-training":
        return _check(models, PARAMETERS if regime == "equal-parameters" else CALLS, target)
    if not all(_budget_in_seconds(record) for record in models):
        return _check(models, OPERATIONS, target)
    return _elsewhere(models) | _check(models, SECONDS, target)


def preview(parameters: Mapping[str, int], target: float | None = None) -> dict[str, str]:
    """What :func:`check` will say of ``equal-parameters``, by the names of models with as many parameters."""
    return _broken(PARAMETERS, parameters, list(parameters.values()), target)


def _check(records: Sequence[Record], rule: Rule, target: float | None) -> dict[str, str]:
    values = {record.id: rule.of(record) for record in records}
    once = {(record.model.checkpoint or record.id, values[record.id]) for record in records}
    return _broken(rule, values, [value for _, value in once if value is not None], target)


def _broken(
    rule: Rule, values: Mapping[str, float | None], once: Sequence[float], target: float | None
) -> dict[str, str]:
    normal = target if target is not None else statistics.median(once or [0])
    whose = "the table's median" if target is None else "the suite's"
    reasons = {name: rule.broken(value, normal, whose) for name, value in values.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _budget_in_seconds(record: Record) -> bool:
    try:
        return record.training is not None and Budget.parse(record.training.budget).unit == "seconds"
    except InvalidConfig:  # somebody else's record
        return False


def _elsewhere(records: Sequence[Record]) -> dict[str, str]:
    """Records that were trained on another machine than most: seconds cannot be compared."""
    machines = {record.id: trained_on(record) for record in records}
    usual = Counter(machines.values()).most_common(1)
    return {
        name: f"trained on {machine}, most of the table on {usual[0][0]}: equal-training in seconds needs one machine"
        for name, machine in machines.items()
        if machine != usual[0][0]
    }
