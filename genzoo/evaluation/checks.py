"""What every metric asks of its input, and equal numbers of real and generated rows."""

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples


def check_rows(x: Tensor, side: str, minimum: int) -> Tensor:
    """``x`` [n, d] in float64; raises :class:`InvalidSamples` unless it has ``minimum`` rows and is finite."""
    if x.dim() != 2:
        raise InvalidSamples(f"the {side} set has shape {tuple(x.shape)}; metrics take rows of numbers, [n, d]")
    if len(x) < minimum:
        remedy = "draw more samples" if side == "generated" else "give it more"
        raise InvalidSamples(f"the {side} set has {len(x)} rows; it needs at least {minimum}: {remedy}")
    # a sum that is finite proves every number finite, in a fraction of the time
    num_bad = 0 if x.sum().isfinite() else int((~x.isfinite()).any(1).sum())
    if num_bad:
        raise InvalidSamples(
            f"{num_bad} of {len(x)} rows of the {side} set hold NaN or infinity; no metric is computed from the rest: "
            "find out where they come from"
        )
    return x.double()


def check_features(fake: Tensor, real: Tensor, minimum: int, *, side: str = "generated") -> tuple[Tensor, Tensor]:
    """Both sets in float64; raises :class:`InvalidSamples` when they are too few, not finite or of different width."""
    fake, real = check_rows(fake, side, minimum), check_rows(real, "real", minimum)
    if fake.shape[1] != real.shape[1]:
        raise InvalidSamples(
            f"{side} rows have {fake.shape[1]} columns, real rows {real.shape[1]}: extract both with one extractor"
        )
    return fake, real


def subset(num_rows: int, n: int, seed: int) -> Tensor:
    """Row numbers of a random ``n`` of ``num_rows``, in order, without replacement, fixed by ``seed``; int64 [n]."""
    return torch.randperm(num_rows, generator=torch.Generator().manual_seed(seed))[:n].sort().values


def cut(x: Tensor, n: int, seed: int) -> Tensor:
    """``x`` itself if it has ``n`` rows, else the random :func:`subset` of them."""
    return x if len(x) == n else x[subset(len(x), n, seed).to(x.device)]
