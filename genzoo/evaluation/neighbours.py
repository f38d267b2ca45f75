"""Precision, recall, density and coverage from who lies in whose ball, each with its rule in words.

References: Improved Precision and Recall Metric (Kynkäänniemi et al., 2019); Reliable Fidelity and Diversity Metrics
(Naeem et al., 2020).
"""

import math

from torch import Tensor

from genzoo.evaluation.frechet import Estimate
from genzoo.evaluation.intervals import around, share
from genzoo.evaluation.pairs import K_CLOSED, K_STRICT, PairStatistics
from genzoo.evaluation.parts import Metric, measured

STRICT, CLOSED = f"k = {K_STRICT}, strict <", f"k = {K_CLOSED}, <="


def expected_coverage(num_real: int, num_fake: int, k: int = K_STRICT) -> float:
    """Coverage of a perfect model: 1 - prod_{i < k} (N - 1 - i) / (N + M - 1 - i), exactly, whatever the distribution.

    A real point is missed when its k nearest among the N - 1 other real and M generated points are all real.
    """
    return 1 - math.prod((num_real - 1 - i) / (num_real + num_fake - 1 - i) for i in range(k))


def _given(rule: str, side: str) -> str:
    return f"{rule}; Wilson interval given the {side} balls"


def _density(balls: Tensor) -> Metric:
    """Number of real balls around a fake, over k; 1 for a perfect model, exactly."""
    per_fake = balls.double() / K_STRICT
    estimate = Estimate(per_fake.mean().item(), (per_fake.std() / math.sqrt(len(balls))).item())
    return around(estimate, "higher", f"{STRICT}; se over fakes, given the real balls", expected=1.0)


def neighbour_metrics(pairs: PairStatistics) -> dict[str, Metric]:
    """Shares of fakes in real balls (precision), of real points in fakes' balls (recall), ... with their intervals.

    An interval takes the other set's balls as given, so that rows are independent. Nothing is known of a perfect
    model's precision and recall: compare them with their floor.
    """
    covered = pairs.covered.double().mean().item()
    expected = expected_coverage(len(pairs.covered), len(pairs.balls_around_fakes))
    return {
        "precision": share(pairs.balls_around_fakes > 0, _given(STRICT, "real")),
        "recall": share(pairs.recalled, _given(STRICT, "fake")),
        "density": _density(pairs.balls_around_fakes),
        "coverage": measured(covered, "higher", STRICT, expected=expected),
        "precision_k3": share(pairs.precise_k3, _given(CLOSED, "real")),
        "recall_k3": share(pairs.recalled_k3, _given(CLOSED, "fake")),
    }
