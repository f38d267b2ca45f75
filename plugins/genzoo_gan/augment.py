"""Random transforms of images that gradients pass through: the critic sees neither data nor fakes without them.

Each maker draws its random numbers for n images and returns the transform, so that data and what the generator made
meet the same one, row by row.

Reference: Differentiable Augmentation for Data-Efficient GAN Training (Zhao et al., 2020).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

Augmentation = Literal["translation", "cutout", "colour"]
Transform = Callable[[Tensor], Tensor]


def moved(size: int, steps: Tensor) -> Tensor:
    """Matrices [n, size, size] that move a column of ``size`` numbers down by ``steps`` [n], with zeros behind."""
    at = torch.arange(size, device=steps.device)
    return (at[:, None] == at + steps[:, None, None]).float()


def translation(like: Tensor) -> Transform:
    """Up to an eighth of the side (at least a pixel) in both directions, zeros moving in."""
    n, _, *sides = like.shape
    reach = [max(1, round(side / 8)) for side in sides]
    down, right = (
        moved(side, torch.randint(-r, r + 1, (n,), device=like.device)) for side, r in zip(sides, reach, strict=True)
    )
    return lambda x: down[:, None] @ x @ right.mT[:, None]


def cutout(like: Tensor) -> Transform:
    """A rectangle of half the sides, centred anywhere, becomes zero."""
    n, _, *sides = like.shape
    inside = [_near(side, torch.randint(0, side, (n,), device=like.device)) for side in sides]
    kept = 1 - (inside[0][:, :, None] * inside[1][:, None, :])[:, None]
    return lambda x: x * kept


def _near(side: int, centre: Tensor) -> Tensor:
    """1 within half of half the side about the centre, else 0: [n, side]."""
    at = torch.arange(side, device=centre.device)
    first = centre[:, None] - side // 4
    return ((at >= first) & (at < first + side // 2)).float()


def colour(like: Tensor) -> Transform:
    """Brightness x + b, saturation about the mean of the channels, contrast about the image's mean."""
    b, s, c = torch.rand(3, len(like), 1, 1, 1, device=like.device)

    def transform(x: Tensor) -> Tensor:
        x = x + b - 0.5
        grey = x.mean(1, keepdim=True)
        x = grey + 2 * s * (x - grey)
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (c + 0.5) * (x - mean)

    return transform


AUGMENTATIONS: Mapping[Augmentation, Callable[[Tensor], Transform]] = {
    "translation": translation,
    "cutout": cutout,
    "colour": colour,
}


def draw(names: Sequence[Augmentation], like: Tensor) -> Transform:
    """One transform for each row of ``like`` [n, c, h, w], of the named ones in their order; the identity of none."""
    transforms = [AUGMENTATIONS[name](like) for name in names]
    return lambda x: reduce(lambda seen, transform: transform(seen), transforms, x)
