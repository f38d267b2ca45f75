"""Sample sets whose faults are known, made of the built-in digits: no model is trained and nothing is downloaded.

The training split is cut in two. One part stands for the training set of an imagined model; the other is what a perfect
model would draw, as it comes from the same distribution and is in neither the training nor the test set.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from genzoo.data import load
from genzoo.data.core import Split
from genzoo.evaluation.checks import subset

NUM_IMAGES = 400  # the most that leaves as many of half of the classes, and as many again to train on
JITTER, NUM_KEPT = 8, 3


@dataclass(frozen=True)
class Digits:
    """uint8 images [m, 8, 8, 1], m >= n, and their labels: ``fresh`` ones, ``train`` and ``test``; each case has n."""

    fresh: Tensor
    fresh_labels: Tensor
    train: Tensor
    test: Tensor
    test_labels: Tensor
    n: int
    seed: int

    @classmethod
    def load(cls, n: int = NUM_IMAGES, seed: int = 0) -> "Digits":
        """The built-in digits, dealt out by ``seed``; n at most 400."""
        data = load("digits").require_labels()
        order = torch.randperm(len(data.train), generator=Generator().manual_seed(seed))
        train, fresh, test = order[:n], order[n:], subset(len(data.test), n, seed)
        return cls(
            data.train.images(fresh),
            _labels(data.train, fresh),
            data.train.images(train),
            data.test.images(test),
            _labels(data.test, test),
            n,
            seed,
        )

    def random(self) -> Generator:
        """A fresh stream of random numbers."""
        return Generator().manual_seed(self.seed)


def _labels(split: Split, rows: Tensor) -> Tensor:
    return torch.as_tensor(split.labels)[rows]


def perfect(digits: Digits) -> Tensor:
    """Unseen images of the same distribution."""
    return digits.fresh[: digits.n]


def copies(digits: Digits) -> Tensor:
    """The training images themselves."""
    return digits.train


def near_copies(digits: Digits) -> Tensor:
    """The training images, every pixel moved by up to 8 of 255."""
    noise = torch.randint(-JITTER, JITTER + 1, digits.train.shape, generator=digits.random())
    return (digits.train + noise).clamp(0, 255).to(torch.uint8)


def collapsed(digits: Digits) -> Tensor:
    """Three unseen images, over and over."""
    return digits.fresh[torch.arange(digits.n) % NUM_KEPT]


def dropped(digits: Digits) -> Tensor:
    """Unseen images of the digits 0 to 4 alone."""
    return digits.fresh[digits.fresh_labels < 5][: digits.n]


def permuted(digits: Digits) -> Tensor:
    """Every pixel from another unseen image: the distribution of each is right, but they do not fit together."""
    pixels = perfect(digits).flatten(1)
    order = torch.rand(pixels.shape, generator=digits.random()).argsort(0)
    return pixels.gather(0, order).reshape(digits.n, *digits.fresh.shape[1:])


def blurred(digits: Digits) -> Tensor:
    """Unseen images, each pixel the mean of the 3 x 3 around it."""
    padded = F.pad(perfect(digits).permute(0, 3, 1, 2).double(), (1, 1, 1, 1), mode="replicate")
    return (F.avg_pool2d(padded, 3, stride=1) + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def noise(digits: Digits) -> Tensor:
    """Pixels drawn uniformly from 0 to 255."""
    shape = (digits.n, *digits.fresh.shape[1:])
    return torch.randint(0, 256, shape, generator=digits.random()).to(torch.uint8)


Case = Callable[[Digits], Tensor]
_ALL: tuple[Case, ...] = (perfect, copies, near_copies, collapsed, dropped, permuted, blurred, noise)
CASES: Mapping[str, Case] = {case.__name__.replace("_", " "): case for case in _ALL}
