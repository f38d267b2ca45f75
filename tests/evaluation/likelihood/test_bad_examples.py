"""Test examples of which no likelihood can be told are refused, in one line that names what is wrong."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.likelihood import likelihoods
from genzoo.testing.closed_forms import Uniform

SHAPE, LEVELS = (1, 4, 4), 256


def uniform_images() -> Tensor:
    return torch.randint(0, LEVELS, (64, *SHAPE), generator=torch.Generator().manual_seed(0)) * 2 / (LEVELS - 1) - 1


def with_nan(x: Tensor) -> Tensor:
    x[3, 0, 0, 0] = math.nan
    return x


@pytest.mark.parametrize(
    ("change", "levels", "said"),
    [
        (with_nan, 256, "1 of 64 test examples hold NaN or infinity: no likelihood is computed"),
        (lambda x: x[:0], 256, r"the test examples are float32 \[0, 1, 4, 4\]: a likelihood is of at least one"),
        (lambda x: x[:, 0], 256, r"the test examples are float32 \[64, 4, 4\]: .* float32 \[1, 4, 4\]"),
        (lambda x: (255 * x).to(torch.uint8), 256, r"the test examples are uint8"),
        (lambda x: 2 * x, 256, "levels off the 256 levels 2k / 255 - 1"),
        (lambda x: (x + 1) / 2, 256, "levels off the 256 levels 2k / 255 - 1"),
        (lambda x: x, 17, "levels off the 17 levels 2k / 16 - 1"),
    ],
    ids=["nan", "none", "shape", "uint8", "twice the range", "in [0, 1]", "other levels"],
)
def test_bad_examples_are_named(change: Callable[[Tensor], Tensor], levels: int, said: str) -> None:
    with pytest.raises(InvalidSamples, match=said) as told:
        likelihoods(Uniform(SHAPE, LEVELS), change(uniform_images()), levels)
    assert "\n" not in str(told.value)
