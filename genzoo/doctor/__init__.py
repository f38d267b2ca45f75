"""The known answers, computed on this machine: does every metric move the right way?

From a shell: ``genzoo doctor``. It trains nothing, needs no network, and takes seconds.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from genzoo.doctor.cases import CASES, NUM_IMAGES, Digits
from genzoo.doctor.judging import Row, judge, judge_perfect
from genzoo.doctor.machine import Finding, findings
from genzoo.doctor.text import to_text
from genzoo.evaluation import Metric, evaluate_images, load_extractor
from genzoo.threads import threads_for

__all__ = ["Diagnosis", "Finding", "Row", "diagnose", "examine"]

EXTRACTOR, SEED = "cnn8", 4


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found. As text, the table and the lines that ``genzoo doctor`` prints."""

    rows: list[Row]
    findings: list[Finding]
    seconds: float

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return all(row.verdict is not False for row in self.rows) and all(finding.ok for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"ok": self.ok} | asdict(self)

    def __str__(self) -> str:
        return to_text(self.rows, self.findings, self.seconds)


def examine(num_images: int = NUM_IMAGES, seed: int = SEED) -> list[Row]:
    """Every metric in every case, with what was expected and whether it came so; ``num_images`` at most 400."""
    digits = Digits.load(num_images, seed)
    with threads_for(num_images):
        found = {name: _measure(case(digits), digits) for name, case in CASES.items()}
    (first, perfect), *others = found.items()
    rows = judge_perfect(first, perfect, num_images)
    return [*rows, *(row for case, metrics in others for row in judge(case, metrics, perfect, num_images))]


def _measure(images: Tensor, digits: Digits) -> dict[str, Metric]:
    extractor = load_extractor(EXTRACTOR)
    return evaluate_images(images, digits.test, extractor=extractor, train=digits.train, strata=digits.test_labels)


def diagnose() -> Diagnosis:
    """:func:`examine`, and the checks of the machine."""
    started = time.monotonic()
    rows, checked = examine(), findings()
    return Diagnosis(rows, checked, round(time.monotonic() - started, 1))
