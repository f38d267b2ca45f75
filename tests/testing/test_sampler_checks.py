"""Check by check, the kit catches what is not sound in a sampler."""

from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest
import torch
from toys import Affine, Draw, Langevin, OfToyAlone, fails, run, zoo_with

from genzoo.capabilities import Decoder
from genzoo.testing import checks


class Thawed:
    needs = (Decoder,)
    steps = Draw.steps


@dataclass
class NotFrozen(Thawed):
    pass


class Transposed(Draw):
    def steps(self, model, n, generator):
        yield model.decode(torch.randn((n, *model.latent_shape), generator=generator)).movedim(0, -1)


class Silent(Draw):
    def steps(self, model, n, generator):
        yield from ()


class Infinite(Draw):
    def steps(self, model, n, generator):
        for x in super().steps(model, n, generator):
            yield x / 0


class GlobalRandomness(Draw):
    def steps(self, model, n, generator):
        yield model.decode(torch.randn(n, *model.latent_shape))


class NumpyRandomness(Draw):
    def steps(self, model, n, generator):
        np.random.rand()
        yield from super().steps(model, n, generator)


class ReseedsItself(Draw):
    def steps(self, model, n, generator):
        yield from super().steps(model, n, torch.Generator().manual_seed(0))


class HoldsNoGrad(Draw):
    def steps(self, model, n, generator):
        with torch.no_grad():
            yield from super().steps(model, n, generator)


class SwitchesMode(Draw):
    def steps(self, model, n, generator):
        model.train(not model.training)
        yield from super().steps(model, n, generator)


class NoCalls(Draw):
    def steps(self, model, n, generator):
        yield torch.randn((n, *model.shape), generator=generator)


class CallsByChance(Draw):
    def steps(self, model, n, generator):
        for _ in range(next(_CALLS)):
            yield from super().steps(model, n, generator)


_CALLS = count(1)


class OffCentre(Draw):
    def steps(self, model, n, generator):
        for x in super().steps(model, n, generator):
            yield x + 0.02


class Narrow(Draw):
    def steps(self, model, n, generator):
        yield model.decode(0.95 * torch.randn((n, *model.latent_shape), generator=generator))


class Uncorrelated(Draw):
    def steps(self, model, n, generator):
        for x in super().steps(model, n, generator):
            yield torch.stack([x[:, 0], x[:, 1].roll(1)], 1) if x.dim() == 2 else x


class WrongNoise(Langevin):
    def noise(self, x, generator):
        return (2 * self.step) ** 0.5 * torch.randn(x.shape, generator=generator)


class TooShort(Langevin):
    def __init__(self):
        super().__init__(num_steps=10)


class DropsAMode(Langevin):
    def steps(self, model, n, generator):
        for x in super().steps(model, n, generator):
            yield torch.where((x < 0).all(1, keepdim=True), -x, x) if x.dim() == 2 else x


class Shuffles(Langevin):
    def steps(self, model, n, generator):
        for x in super().steps(model, n, generator):
            yield x
        yield x.roll(1, 0)


SAMPLER_FAULTS = [
    (Thawed, "is_a_frozen_dataclass", "no dataclass"),
    (NotFrozen, "is_a_frozen_dataclass", "not frozen"),
    (Transposed, "states_have_shape_and_are_finite", r"a state is \(2, 1\), not \(1, 2\)"),
    (Silent, "states_have_shape_and_are_finite", "yields no state"),
    (Infinite, "states_have_shape_and_are_finite", "not finite"),
    (GlobalRandomness, "follows_its_generator_alone", "more than the generator's seed"),
    (ReseedsItself, "follows_its_generator_alone", "two seeds of the generator"),
    (GlobalRandomness, "touches_no_global_state", "torch random state"),
    (NumpyRandomness, "touches_no_global_state", "numpy random state"),
    (HoldsNoGrad, "touches_no_global_state", "gradient mode"),
    (SwitchesMode, "touches_no_global_state", "training mode"),
    (NoCalls, "calls_are_counted", "0 rows"),
    (CallsByChance, "calls_are_counted", "the same draw made"),
    (OffCentre, "has_the_right_mean_and_covariance", "the mean is"),
    (Narrow, "has_the_right_mean_and_covariance", "standard deviation is 0.95"),
    (Uncorrelated, "has_the_right_mean_and_covariance", "the covariance is"),
    (WrongNoise, "has_the_right_mean_and_covariance", "standard deviation is 1.4"),
    (TooShort, "has_the_right_mean_and_covariance", "the mean is"),
    (WrongNoise, "finds_every_mode", "the modes' standard deviation is"),
    (DropsAMode, "finds_every_mode", "four equal modes get the shares"),
    (Shuffles, "keeps_every_row_to_its_label", "of the rows follow their own label"),
]


@pytest.mark.parametrize(("sampler", "check_name", "reason"), SAMPLER_FAULTS)
def test_a_sampler_s_fault_is_caught(sampler, check_name, reason):
    with fails(reason):
        run("sampler", "draw", check_name, zoo_with(sampler=sampler))


def test_langevin_s_bias_is_seen_where_its_formula_is_not_stated():
    class Unstated(Langevin):
        expected_std = property()  # an attribute that is not there

    with fails("standard deviation is 1.0"):
        run("sampler", "draw", "has_the_right_mean_and_covariance", zoo_with(sampler=Unstated))


def test_a_sampler_with_a_need_of_its_own_is_judged_on_a_model_that_meets_it():
    class Own(Affine):
        def toy(self, x):
            return x

    sampler = type("OwnNeed", (Draw,), {"needs": (OfToyAlone,)})
    names = [c.name for c in checks("sampler", "draw", zoo_with(model=Own, sampler=sampler))]
    assert "draw/sampler/follows_its_generator_alone[toy-2]" in names
    assert not any("mean_and_covariance" in name for name in names)
