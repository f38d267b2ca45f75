"""Whether a model repeats its training images: by their features, by distances to both splits, by their bytes.

References: A Non-Parametric Test to Detect Data-Copying in Generative Models (Meehan et al., 2020), for judging the
generated set beside held-out data of the same size.
"""

import hashlib
from dataclasses import replace

from torch import Tensor

from genzoo.evaluation.checks import cut
from genzoo.evaluation.frechet import Jackknife, fd_jackknife
from genzoo.evaluation.intervals import failed, of_blocks
from genzoo.evaluation.memorisation import memorisation
from genzoo.evaluation.parts import Metric, measured
from genzoo.protocols import ImageSet


def _digests(images: Tensor) -> list[bytes]:
    rows = images.detach().cpu().contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]


def exact_duplicates(images: Tensor, train: Tensor) -> int:
    """How many uint8 ``images`` [n, h, w, c] equal an image of ``train`` [m, h, w, c] byte for byte."""
    known = set(_digests(train))
    return sum(digest in known for digest in _digests(images))


def unique_share(images: Tensor) -> float:
    """The number of distinct images over the number of images [n, h, w, c]."""
    return len(set(_digests(images))) / len(images)


def split_distances(to_real: Jackknife, fake: Tensor, train: Tensor, seed: int) -> dict[str, Metric]:
    """``fd_train``, the Fréchet distance to a random training subset of the same size, and ``fd_gap`` = fd - fd_train.

    A model that copies is nearer to the training images than to the test images; one that does not has a gap near 0,
    as both distances have the same bias. The blocks of fakes left out are those of ``to_real``, the jackknife of fd
    with the same seed.
    """
    n, size = len(fake), f"{len(fake)} of {len(train)} training images"
    how = {"fd_train": f"fd against {size}", "fd_gap": f"fd - fd_train, the latter against {size}"}
    if len(train) < n:
        reason = f"{len(train)} training images are fewer than the {n} generated: a distance to them has another bias"
        return {name: failed("lower", text, reason) for name, text in how.items()}
    to_train = fd_jackknife(fake, cut(train, n, seed), seed=seed)
    gap = replace(to_real, value=to_real.value - to_train.value, deleted=to_real.deleted - to_train.deleted)
    return {
        "fd_train": of_blocks(to_train, how["fd_train"]),
        "fd_gap": of_blocks(gap, f"{how['fd_gap']}; given the real images", expected=0.0),
    }


def copy_metrics(generated: ImageSet, real: ImageSet, train: ImageSet) -> dict[str, Metric]:
    """``auth_pct``, ``copy_rate``, ``nearest_train_z`` and ``exact_duplicates`` against all training images."""
    found = memorisation(generated.features, real.features, train.features)
    size = f"nearest of {len(train)} training images"
    return {
        "auth_pct": measured(
            found.auth_pct,
            "higher",
            f"share farther from its {size} than that one is from its own nearest; the floor: test images",
            floor=found.expected_auth_pct,
        ),
        "copy_rate": measured(
            found.copy_rate,
            "lower",
            f"share nearer to its {size} than 1 % of the test images are to theirs",
            expected=0.01,
        ),
        "nearest_train_z": measured(
            found.mann_whitney_z,
            "higher",
            f"Mann-Whitney z of distances to the {size}, generated against test; below 0 is nearer",
            expected=0.0,
        ),
        "exact_duplicates": measured(
            exact_duplicates(generated.images, train.images),
            "lower",
            f"generated images that equal one of {len(train)} training images byte for byte; the floor: test images",
            floor=exact_duplicates(real.images, train.images),
        ),
    }
