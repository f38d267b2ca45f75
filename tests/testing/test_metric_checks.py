"""Each check of metrics catches the fault it is there for."""

import math

import numpy as np
import pytest
import torch
from toys import brightness_gap, fails, run, zoo_with

from genzoo.builtin import BUILT_IN
from genzoo.errors import InvalidSamples
from genzoo.evaluation.metrics import NAMES
from genzoo.protocols import Measurement
from genzoo.testing import checks
from genzoo.zoo import Zoo


def gap(comparison):
    return brightness_gap(comparison).value


def changed(**fields):
    """The sound metric, whose measurement says something else."""
    return lambda: lambda comparison: brightness_gap(comparison)._replace(**fields)


def bare_number():
    return gap


def from_global_randomness():
    return lambda comparison: Measurement(gap(comparison) + torch.rand(1).item(), "lower", "dice")


def from_numpys_randomness():
    return lambda comparison: Measurement(gap(comparison) + np.random.rand(), "lower", "dice")


def shifting():
    def metric(comparison):
        comparison.real.features.add_(1)
        return brightness_gap(comparison)

    return metric


def first_ten():
    def metric(comparison):
        generated, real = comparison.generated.images[:10].double(), comparison.real.images[:10].double()
        return Measurement(abs(generated.mean() - real.mean()).item(), "lower", "the first ten images")

    return metric


def ten_drawn(se):
    def metric(comparison):
        rows = torch.randperm(len(comparison.real), generator=torch.Generator().manual_seed(comparison.seed))[:10]
        generated, real = comparison.generated.images[rows].double(), comparison.real.images[rows].double()
        return Measurement(abs(generated.mean() - real.mean()).item(), "lower", "ten images", se=se)

    return lambda: metric


def needs_train_unawares():
    def metric(comparison):
        nearest = torch.cdist(comparison.generated.features, comparison.train.features).min(1).values
        return Measurement(nearest.mean().item(), "lower", "distance to the nearest training image")

    return metric


def constant():
    return lambda comparison: Measurement(1.0, "lower", "nothing")


@pytest.mark.parametrize(
    ("metric", "name", "reason"),
    [
        (bare_number, "gives_a_measurement", "it gives float, not a Measurement"),
        (changed(value=math.nan), "gives_a_measurement", "real images against real ones score nan"),
        (changed(better="more"), "gives_a_measurement", "better is 'more', not 'lower' or 'higher'"),
        (changed(how=" "), "gives_a_measurement", "how it was made is not said"),
        (changed(se=-1.0), "gives_a_measurement", "the standard error is -1.0"),
        (changed(expected=math.inf), "gives_a_measurement", "a perfect model would score inf"),
        (from_global_randomness, "follows_its_seed_alone", r"score .* and then"),
        (from_global_randomness, "touches_no_global_state", "it changes the host's torch random state"),
        (from_numpys_randomness, "touches_no_global_state", "it changes the host's numpy random state"),
        (shifting, "leaves_what_it_is_given", "it writes into what it is given"),
        (first_ten, "order_does_not_matter", "another order of the rows changes it by"),
        (ten_drawn(None), "order_does_not_matter", "it depends on the seed and states no standard error"),
        (ten_drawn(1e-3), "order_does_not_matter", "allowed is 0.004"),
        (changed(better="higher"), "moves_the_right_way", "noise is better than real images"),
        (constant, "moves_the_right_way", "nothing is worse"),
    ],
)
def test_a_fault_is_caught(metric, name, reason):
    with fails(reason):
        run("metric", "gap", name, zoo_with(metric=metric))


def test_a_need_that_is_not_told_is_caught():
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'features'"):
        run("metric", "gap", "says_what_it_needs", zoo_with(metric=needs_train_unawares))


def test_a_metric_that_draws_and_says_how_exactly_passes():
    run("metric", "gap", "order_does_not_matter", zoo_with(metric=ten_drawn(30.0)))


@pytest.mark.parametrize(("better", "passes"), [("lower", True), ("higher", False)])
def test_a_metric_of_copying_is_judged_by_copies(better, passes):
    """Noise is farther from the training images than real ones are: it may score better here, copies may not."""

    def copies():
        def metric(comparison):
            if comparison.train is None:
                raise InvalidSamples("needs training images")
            nearest = torch.cdist(comparison.generated.features, comparison.train.features).min(1).values
            return Measurement((nearest < 1e-6).double().mean().item(), better, "share of copies")

        return metric

    zoo = zoo_with(metric=copies)
    if passes:
        run("metric", "gap", "moves_the_right_way", zoo)
    else:
        with fails("nothing is worse"):
            run("metric", "gap", "moves_the_right_way", zoo)


def test_a_metric_of_colour_is_judged_on_colour():
    def of_colour():
        def metric(comparison):
            if comparison.real.images.shape[3] != 3:
                raise InvalidSamples("colour only")
            return brightness_gap(comparison)

        return metric

    assert all(c.name.endswith("[colours]") for c in checks("metric", "gap", zoo_with(metric=of_colour)))
    for check in checks("metric", "gap", zoo_with(metric=of_colour)):
        check()


def test_the_fault_of_one_metric_is_not_the_next_ones():
    with fails("it writes into what it is given"):
        run("metric", "gap", "leaves_what_it_is_given", zoo_with(metric=shifting))
    run("metric", "gap", "moves_the_right_way", zoo_with())


def test_genzoos_own_metrics_are_those_of_the_record():
    assert list(BUILT_IN["metric"]) == list(NAMES)


@pytest.mark.parametrize("name", BUILT_IN["metric"])
def test_genzoos_own_metrics_pass(name):
    for check in checks("metric", name, Zoo()):
        check()
