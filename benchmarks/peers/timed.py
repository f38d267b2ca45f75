"""What the peers have in common: the same images, the same seconds, the same threads, the same files.

A peer's script trains its own net by its own recipe through :func:`train`, which stops it when its seconds are over,
draws through :func:`draw`, and leaves two files through :func:`write`::

    OUT/samples.npz       arr_0: uint8 [n, 28, 28, 1]
    OUT/settings.json     what was trained, how, for how long and by which versions

Importing, loading and drawing are not counted as training; evaluation is that of GenZoo (measure.py).
"""

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genzoo.data import load
from genzoo.provenance import machine

DATA = "fashion-mnist"
SIDE = 28


@dataclass(frozen=True)
class Asked:
    """What the command line says; ``calls`` of the network for a sample matter only to diffusion."""

    out: Path
    seconds: float
    threads: int
    seed: int
    samples: int
    calls: int


@dataclass(frozen=True)
class Spent:
    """What training took."""

    steps: int
    images_seen: int
    seconds: float


def asked(description: str | None, **choices: tuple[str, ...]) -> tuple[Asked, dict[str, str]]:
    """The command line, and the peer's own ``choices``, the first of each being the default. Seeds, sets threads."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for samples.npz and settings.json")
    parser.add_argument("--seconds", type=float, default=600.0, help="of training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--calls", type=int, default=100, help="of the network for a sample, where there are several")
    for name, allowed in choices.items():
        parser.add_argument(f"--{name}", choices=allowed, default=allowed[0])
    values = vars(parser.parse_args())
    chosen = {name: values.pop(name) for name in choices}
    known = Asked(**values)
    torch.set_num_threads(known.threads)
    torch.manual_seed(known.seed)
    return known, chosen


def images() -> Tensor:
    """The training images, uint8 [60000, 1, 28, 28]."""
    train = load(DATA).train
    return torch.cat([_pixels(part) for part in _batched(train)])


def _batched(train: Any) -> Iterator[Tensor]:
    for indices in torch.arange(len(train)).split(4096):
        yield train.batch(indices).x


def _pixels(x: Tensor) -> Tensor:
    return ((x + 1) * 127.5).round().to(torch.uint8)


def shuffled(n: int, size: int) -> Iterator[Tensor]:
    """Endless batches of ``size`` indices below ``n``: one permutation after another, what is left over dropped."""
    while True:
        yield from (part for part in torch.randperm(n).split(size) if len(part) == size)


def train(step: Callable[[Tensor, float], None], data: Tensor, batch_size: int, seconds: float) -> Spent:
    """``step(batch, fraction)`` until the seconds are over; ``fraction`` is the share of them that is spent."""
    started, spent, steps = time.perf_counter(), 0.0, 0
    batches = shuffled(len(data), batch_size)
    while spent < seconds:
        step(data[next(batches)], spent / seconds)
        steps, spent = steps + 1, time.perf_counter() - started
    return Spent(steps, steps * batch_size, round(spent, 2))


@torch.no_grad()
def draw(sample: Callable[[int], Tensor], n: int, at_once: int) -> tuple[Tensor, float]:
    """``n`` samples, uint8 [n, 28, 28, 1], of ``sample(m)`` [m, 1, 28, 28] in [0, 1], and the seconds they took."""
    started = time.perf_counter()
    parts = [sample(min(at_once, n - first)).float().clamp(0, 1) for first in range(0, n, at_once)]
    seconds = round(time.perf_counter() - started, 2)
    return (torch.cat(parts) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous(), seconds


def count(module: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def write(known: Asked, samples: Tensor, spent: Spent, *, package: str, **settings: Any) -> None:
    """The two files, the samples last: where they are, all is. ``settings`` are the peer's own, by name."""
    known.out.mkdir(parents=True, exist_ok=True)
    told = {
        "versions": {name: importlib.metadata.version(name) for name in ("torch", package)},
        "training": asdict(spent),
        "seed": known.seed,
        "num_drawn": len(samples),
        **settings,
        **machine(),
    }
    (known.out / "settings.json").write_text(json.dumps(told, indent=1) + "\n")
    unfinished = known.out / "samples.part.npz"
    np.savez_compressed(unfinished, arr_0=samples.numpy())
    unfinished.rename(known.out / "samples.npz")
