"""What every metric must say of every case, and why: the known answers, as data.

A claim compares a case with the perfect one. Where theory or construction decides nothing there is no claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Where a metric must be, beside its value for the perfect case."""

    WORSE = "worse"
    LEVEL = "level"
    BETTER = "better"
    """Better than a perfect model can be, which is how copying shows."""


@dataclass(frozen=True)
class Claim:
    """The metrics that must go in one direction for one reason.

    ``exact``: it follows from an identity, so that any difference counts and not only one beyond chance.
    """

    direction: Direction
    metrics: tuple[str, ...]
    why: str
    exact: bool = False


_DISTANCES = ("fd", "fd_debiased", "kid", "sliced_w2")
_FIDELITY = ("precision", "density", "precision_k3")
_REACH = ("recall", "coverage", "recall_k3")
_COPYING = ("auth_pct", "copy_rate", "nearest_train_z")

PERFECT = "it is what theory expects or, as the features were fitted to these images, better"
_UNLIKE = (
    Claim(Direction.WORSE, (*_DISTANCES, *_FIDELITY, *_REACH, "fd_train"), "the images look like no digit"),
    Claim(Direction.BETTER, ("auth_pct", "nearest_train_z"), "what is far from everything is far from training images"),
    Claim(Direction.LEVEL, ("exact_duplicates", "unique"), "no two images are equal, nor one to a training image"),
)

CLAIMS: Mapping[str, tuple[Claim, ...]] = {
    "copies": (
        Claim(
            Direction.LEVEL,
            (*_DISTANCES, *_FIDELITY, *_REACH, "unique", "vendi", "class_distance"),
            "training images are real images: what looks at the test split alone cannot tell a memoriser",
        ),
        Claim(Direction.WORSE, (*_COPYING, "exact_duplicates"), "every image has its original at distance zero"),
        Claim(Direction.BETTER, ("fd_train",), "a set is at distance zero from itself: it rewards copying", exact=True),
        Claim(Direction.WORSE, ("fd_gap",), "it is all of fd, as fd_train is zero", exact=True),
    ),
    "near copies": (
        Claim(Direction.WORSE, _COPYING, "every image lies far nearer to a training image than unseen ones do"),
        Claim(Direction.LEVEL, ("exact_duplicates",), "no copy is exact: bytes alone do not catch this memoriser"),
    ),
    "collapsed": (
        Claim(Direction.WORSE, (*_DISTANCES, "fd_train"), "three points have not the mean and spread of digits"),
        Claim(Direction.WORSE, _REACH, "balls around repeated images have no radius, and three images cover little"),
        Claim(
            Direction.WORSE, ("unique", "vendi", "class_distance"), "there are three images, of three classes at most"
        ),
        Claim(Direction.LEVEL, ("exact_duplicates",), "the repeated images are not in the training set"),
    ),
    "dropped": (
        Claim(Direction.WORSE, (*_DISTANCES, *_REACH, "fd_train"), "half of the real images have no likeness"),
        Claim(Direction.WORSE, ("vendi", "class_distance"), "there are five classes instead of ten"),
        Claim(Direction.LEVEL, (*_FIDELITY, "unique"), "every image is a good one: these do not ask what is missing"),
        Claim(Direction.LEVEL, ("auth_pct", "copy_rate", "exact_duplicates"), "nothing was copied"),
    ),
    "permuted": _UNLIKE,
    "blurred": _UNLIKE,
    "noise": _UNLIKE,
}


def claim(case: str, metric: str) -> Claim | None:
    """What is claimed of one metric in one case."""
    return next((each for each in CLAIMS.get(case, ()) if metric in each.metrics), None)
