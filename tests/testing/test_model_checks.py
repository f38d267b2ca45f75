"""Check by check, the kit catches what is not sound in a model."""

import math
from itertools import count

import pytest
import torch
from torch import nn
from toys import Affine, Draw, Likelihood, fails, run, zoo_with

from genzoo.capabilities import (
    Conditional,
    Decoder,
    Denoiser,
    Density,
    Encoder,
    LowerBound,
    Mass,
    NoisyScore,
    Score,
    expand,
)
from genzoo.errors import InvalidOption, UnknownName
from genzoo.images import to_levels


class OtherShape(Affine):
    def __init__(self, shape):
        super().__init__((3,))


class NoLatentShape(nn.Module, Density, Decoder):
    trainer, sampler = "likelihood", "draw"

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    log_prob, decode = Affine.log_prob, Affine.decode


class NothingToOffer(nn.Module):
    trainer, sampler = "likelihood", "draw"

    def __init__(self, shape):
        super().__init__()
        self.shape = shape


class OwnSeed(Affine):
    seeds = count()

    def __init__(self, shape):
        super().__init__(shape)
        generator = torch.Generator().manual_seed(next(self.seeds))
        self.mean = nn.Parameter(torch.randn(shape, generator=generator))


class Column(Affine):
    def log_prob(self, x):
        return super().log_prob(x)[:, None]


class NotFinite(Affine):
    def log_prob(self, x):
        return super().log_prob(x) + math.inf


class Double(Affine):
    def decode(self, z):
        return super().decode(z).double()


class RowsInteract(Affine):
    def encode(self, x):
        return super().encode(x - x.mean(0))


class NoisyInEval(Affine):
    def decode(self, z):
        return super().decode(z) + torch.randn_like(z)


class UnsavedState(Affine):
    def __init__(self, shape):
        super().__init__(shape)
        self.offset = torch.randn(shape)

    def decode(self, z):
        return super().decode(z) + self.offset


class DensityOfMassTwo(Affine):
    def log_prob(self, x):
        return super().log_prob(x) + math.log(2)


class NoLogDeterminant(Affine):
    def log_prob(self, x):
        return (-0.5 * (self.encode(x) ** 2 + math.log(2 * math.pi))).flatten(1).sum(1)


class NoInverse(Affine):
    def encode(self, x):
        return super().encode(x) * 1.1


class HalfTheScore(Affine, Score):
    def score(self, x):
        return -0.5 * self.encode(x) * torch.exp(-self.log_std)


class ReversedScore(Affine, Score):
    def score(self, x):
        return self.encode(x) * torch.exp(-self.log_std)


class Blur(Affine, Denoiser, NoisyScore):
    sigma_min, sigma_max = 0.01, 10.0

    def denoise(self, x, sigma):
        return x / (1 + expand(sigma, x) ** 2)

    def noisy_score(self, x, sigma):
        return -x / (1 + expand(sigma, x) ** 2)


class TooStrongADenoiser(Blur):
    def denoise(self, x, sigma):
        return x / (1 + expand(sigma, x) ** 2) ** 2


class OneSigmaForAll(Blur):
    def denoise(self, x, sigma):
        return super().denoise(x, sigma if sigma.dim() == 0 else 2 * sigma)


class NoNoise(Blur):
    sigma_min, sigma_max = 1.0, 1.0


class Bound(Affine, LowerBound):
    bounds, slack = "density", 0.1

    def log_bound(self, x):
        return self.log_prob(x) - self.slack + 0.05 * torch.randn(len(x))


class BoundAbove(Bound):
    slack = -0.1


class BoundOfWhat(Bound):
    bounds = "weight"


class PositiveBoundOfAMass(Bound):
    bounds = "mass"

    def log_bound(self, x):
        return 0.5 + torch.randn(len(x))


class TooGoodABound(NothingToOffer, Encoder, Decoder, LowerBound):
    """Not a density in sight, but a bound on points that is above the truth."""

    bounds = "density"

    def __init__(self, shape):
        super().__init__(shape)
        self.latent_shape, self.scale = shape, nn.Parameter(torch.ones(()))

    def encode(self, x):
        return x / self.scale

    def decode(self, z):
        return z * self.scale

    def log_bound(self, x):
        return self.scale * torch.ones(len(x))


class Pixels(nn.Module, Mass):
    """Independent pixels, each level equally likely, times ``excess``."""

    trainer, sampler, excess = "likelihood", "draw", 1.0

    def __init__(self, shape, *, levels: int | None = None):
        super().__init__()
        if levels is None:
            raise InvalidOption("images only")
        self.shape, self.levels = shape, levels
        self.logits = nn.Parameter(torch.zeros(levels))

    def log_mass(self, x):
        levels = to_levels(x, self.levels).long()
        return self.excess * self.logits.log_softmax(0)[levels].flatten(1).sum(1)


class TooMuchMass(Pixels):
    excess = 0.9


class Labelled(Affine, Conditional):
    num_classes = 10

    def given(self, labels):
        return self


class LosesCapabilities(Labelled):
    def given(self, labels):
        return NothingToOffer(self.shape)


MODEL_FAULTS = [
    (OtherShape, "is_a_model", "shape is"),
    (NoLatentShape, "is_a_model", "declares Decoder and lacks a member"),
    (NothingToOffer, "is_a_model", "offers no capability"),
    (OwnSeed, "follows_the_global_seed", "two initialisations"),
    (Column, "outputs_have_shape_and_are_finite", r"log_prob returns \(1, 1\), not \(1,\)"),
    (NotFinite, "outputs_have_shape_and_are_finite", "log_prob is not finite"),
    (Double, "outputs_have_shape_and_are_finite", "decode returns torch.float64"),
    (RowsInteract, "rows_are_independent", "rows alone against rows in a batch"),
    (NoisyInEval, "rows_are_independent", "decode: rows alone"),
    (UnsavedState, "survives_saving_and_loading", "decode differs"),
    (DensityOfMassTwo, "density_integrates_to_one", "integrates to 2.0"),
    (DensityOfMassTwo, "likelihood_is_at_most_the_truth_s", "cannot be above 0"),
    (DensityOfMassTwo, "log_prob_is_the_change_of_variables", "the change of variables gives"),
    (NoLogDeterminant, "log_prob_is_the_change_of_variables", "the change of variables gives"),
    (NoInverse, "encode_inverts_decode", r"decode\(encode"),
    (HalfTheScore, "score_is_minus_the_slope_of_the_energy", "the energy falls by"),
    (ReversedScore, "score_is_minus_the_slope_of_the_energy", "the energy falls by -"),
    (TooStrongADenoiser, "noise_levels_are_consistent", "against the denoised"),
    (OneSigmaForAll, "noise_levels_are_consistent", r"sigma \[\] and \[n\]"),
    (NoNoise, "noise_levels_are_consistent", "its noise is from 1.0 to 1.0"),
    (BoundAbove, "log_bound_is_a_bound", "cannot be above 0"),
    (BoundOfWhat, "log_bound_is_a_bound", "bounds is 'weight'"),
    (PositiveBoundOfAMass, "log_bound_is_a_bound", r"the bound of log P\(x\)"),
    (TooMuchMass, "masses_sum_to_one", "sum to 1.5"),
    (LosesCapabilities, "conditioning_keeps_the_capabilities", "has lost Decoder, Density, Encoder"),
]


@pytest.mark.parametrize(("model", "check_name", "reason"), MODEL_FAULTS)
def test_a_model_s_fault_is_caught(model, check_name, reason):
    with fails(reason):
        run("model", "toy", check_name, zoo_with(model=model))


@pytest.mark.parametrize(
    ("model", "check_name"),
    [
        (Blur, "noise_levels_are_consistent"),
        (Bound, "log_bound_is_a_bound"),
        (Pixels, "masses_sum_to_one"),
        (Labelled, "conditioning_keeps_the_capabilities"),
    ],
)
def test_where_the_same_model_without_the_fault_passes(model, check_name):
    run("model", "toy", check_name, zoo_with(model=model))


def test_a_bound_on_points_above_the_truth_is_caught():
    class AnyBound(Likelihood):
        needs = (LowerBound,)

        def losses(self, model, batches):
            yield "model", -model.log_bound(next(batches).x).mean()

    with fails("cannot be above 0"):
        run("model", "toy", "likelihood_is_at_most_the_truth_s", zoo_with(model=TooGoodABound, trainer=AnyBound))


def test_an_unknown_default_and_an_unmet_need_are_caught():
    class Orphan(Affine):
        trainer = "nobody-s"

    with pytest.raises(UnknownName, match="nobody-s"):
        run("model", "toy", "names_its_trainer_and_sampler", zoo_with(model=Orphan))
    with pytest.raises(Exception, match="toy offers Density, Decoder, Encoder; draw needs NoisyScore"):
        unmet = type("Unmet", (Draw,), {"needs": (NoisyScore,)})
        run("model", "toy", "names_its_trainer_and_sampler", zoo_with(sampler=unmet))
