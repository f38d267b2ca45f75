"""Each check of extractors catches the fault it is there for."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from toys import Means, fails, run, zoo_with

from genzoo.errors import InvalidSamples
from genzoo.testing import check, checks
from genzoo.zoo import Zoo


class NoModule:
    sha256, batch_size = Means.sha256, Means.batch_size
    check_shape, features = Means.check_shape, Means.features

    def eval(self):
        return self


class NoBatch(Means):
    batch_size = 0


class ShortHash(Means):
    sha256 = "cafe"


class ShoutedHash(Means):
    sha256 = Means.sha256.upper()


class FreshWeights(Means):
    def __init__(self):
        super().__init__()
        self.factor = torch.rand(1)

    def features(self, images):
        return super().features(images) * self.factor


class FreshHash(Means):
    def __init__(self):
        super().__init__()
        self.sha256 = f"{torch.randint(10**9, (1,)).item():064}"


class Maps(Means):
    def features(self, images):
        return images.float()


class Double(Means):
    def features(self, images):
        return super().features(images).double()


class Logarithm(Means):
    def features(self, images):
        return super().features(images).log()


class Blind(Means):
    def features(self, images):
        return 0 * super().features(images)


class Noisy(Means):
    def features(self, images):
        return super().features(images) + torch.rand(1)


class Standardised(Means):
    """By the batch that it sees."""

    def features(self, images):
        features = super().features(images)
        return features - features.mean(0)


class Counting(Means):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def features(self, images):
        self.seen += len(images)
        return super().features(images)


class NormalisedBatches(Means):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def features(self, images):
        self.train()
        return super().features(images)


class Inverting(Means):
    def features(self, images):
        return super().features(images.bitwise_not_())


class Random(Means):
    def features(self, images):
        torch.rand(1)
        return super().features(images)


class Numpy(Means):
    def features(self, images):
        np.random.rand()
        random.random()
        return super().features(images)


class TakesAnything(Means):
    def check_shape(self, shape): ...


class TakesTooMuch(Means):
    """Says nothing of the two channels that it cannot see."""

    def features(self, images):
        return torch.log(super().features(images) + (images.shape[1] != 2) - 1 + 1e-9 * (images.shape[1] != 2))


class NoClasses(Means):
    def logits(self, features):
        return features[:, 0]


class NotFiniteClasses(Means):
    def logits(self, features):
        return torch.full((len(features), 3), torch.nan)


@pytest.mark.parametrize(
    ("extractor", "name", "reason"),
    [
        (NoModule, "is_an_extractor", "NoModule is no nn.Module"),
        (NoBatch, "is_an_extractor", "batch_size=0"),
        (ShortHash, "is_an_extractor", "sha256='cafe' is not 64 hexadecimal digits"),
        (ShoutedHash, "is_an_extractor", "is not 64 hexadecimal digits"),
        (FreshWeights, "is_named_by_its_hash", "two builds of one hash give two features"),
        (FreshHash, "is_named_by_its_hash", "two builds have two hashes"),
        (Maps, "gives_features", r"1 images give \(1, 1, 8, 8\), not \(1, d\)"),
        (Double, "gives_features", "are torch.float64, not torch.float32"),
        (Logarithm, "gives_features", "a feature is not finite"),
        (Blind, "gives_features", "black, white and noise have the same features"),
        (Noisy, "repeats_itself", "the same images give other features"),
        (Standardised, "rows_are_independent", "alone against those in a batch"),
        (Counting, "keeps_its_state", "taking features changes seen"),
        (NormalisedBatches, "keeps_its_state", "taking features ends eval mode"),
        (Inverting, "keeps_its_state", "it writes into the images"),
        (Random, "touches_no_global_state", "it changes the host's torch random state"),
        (Numpy, "touches_no_global_state", "it changes the host's numpy random state, python random state"),
        (TakesAnything, "refuses_what_it_does_not_take", "lets images without channels through"),
        (TakesTooMuch, "refuses_what_it_does_not_take", "it takes 2x8x8 images and gives no features"),
        (NoClasses, "sees_classes", r"5 rows have logits \(5,\)"),
        (NotFiniteClasses, "sees_classes", "a logit is not finite"),
    ],
)
def test_a_fault_is_caught(extractor, name, reason):
    with fails(reason):
        run("extractor", "means", name, zoo_with(extractor=extractor))


def test_every_check_but_the_one_of_classes_is_run_on_the_first_shape_that_it_takes():
    class Colour(Means):
        def check_shape(self, shape):
            if shape[0] != 3:
                raise InvalidSamples("colour only")

    names = [c.name for c in checks("extractor", "means", zoo_with(extractor=Colour))]
    assert "means/extractor/rows_are_independent[3x16x16]" in names
    assert "means/extractor/gives_features[3x64x64]" in names
    assert not any("1x8x8" in name or "sees_classes" in name for name in names)


def test_an_extractor_that_takes_nothing_is_told():
    class Nothing(Means):
        def check_shape(self, shape):
            raise InvalidSamples("never")

    (only,) = checks("extractor", "means", zoo_with(extractor=Nothing))
    assert only.name == "means/extractor/can_be_judged"
    with fails("takes images of none of 1x8x8, 1x28x28, 3x16x16, 3x32x32, 3x64x64"):
        only()


def test_genzoos_own_extractors_pass():
    results = [r for r in check("genzoo", Zoo()) if "/extractor/" in r.name]
    assert {r.name.split("/")[0] for r in results} == {"cnn8", "cnn28", "rand28", "rand32"}
    assert not [r for r in results if not r.passed]
    assert {r.name.split("/")[0] for r in results if "sees_classes" in r.name} == {"cnn8", "cnn28"}
