"""The host's training loop against a bare PyTorch loop that does the same mathematics.

::

    OMP_NUM_THREADS=1 python benchmarks/speed/loop.py [--data digits] [--steps 100] [--repeats 7] [MODEL ...]

Both train the same model on the same batches in the same order with the plugin's own objective and optimizers, the
same clipping, learning rates, averaging and precision; the final weights must be equal bit for bit. The host also
checks every loss and gradient, counts, logs and listens for signals. What is timed is the loop, without building the
model or the checkpoint at the end. Repetitions alternate, and so does which of the two begins; a ratio is host over
bare, the median of the repetitions with their range.
"""

import argparse
import copy
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from genzoo.config import TrainConfig, checked
from genzoo.data import Data, load
from genzoo.jobs import Job, prepare
from genzoo.precision import allows_bf16, choose_precision
from genzoo.protocols import Batch
from genzoo.training import fit
from genzoo.zoo import Zoo

MODELS = ("vae", "sngan", "realnvp", "ebm", "ddpm")
Run = tuple[nn.Module, float]


def host(job: Job) -> Run:
    """The averaged weights, and the seconds of the host's loop."""
    with tempfile.TemporaryDirectory() as folder:
        done = fit(job.model, job.trainer, job.data.train, job.config, Path(folder))
    return done.model, done.seconds


def bare(job: Job) -> Run:
    """The averaged weights, and the seconds of the loop that one writes by hand."""
    model, trainer, config = job.model.train(), job.trainer, job.config
    steps = int(config.budget.amount)
    bf16 = choose_precision(config.precision, allows_bf16(trainer, model), torch.device("cpu")) == "bf16"
    torch.manual_seed(config.seed)
    if hasattr(trainer, "initialize"):
        trainer.initialize(model, next(batches(job)))
    torch.manual_seed(config.seed * 1_000_003)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizers = trainer.optimizers(model)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
    averages, weights = list(average.state_dict().values()), list(model.state_dict().values())
    data = batches(job)
    started = time.perf_counter()
    for step in range(steps):
        spent = step / steps
        factor = min(1.0, (spent + 1e-3) / config.warmup) * 0.5 * (1 + math.cos(math.pi * spent))
        losses = trainer.losses(model, data)
        while True:
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                item = next(losses, None)
            if item is None:
                break
            name, loss = item
            (group,) = optimizers[name].param_groups
            group["lr"] = rates[name] * factor
            optimizers[name].zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(group["params"], config.clip)
            optimizers[name].step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, weights, 1 - (1 - 1 / (step + 1)) ** (1 / config.ema))
    return average, time.perf_counter() - started


def batches(job: Job) -> Iterator[Batch]:
    """The training data in seeded permutations, one after another."""
    x, size, epoch, order = job.data.train.x(), job.config.batch_size, 0, torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < size:
            generator = torch.Generator().manual_seed(job.config.seed * 1_000_003 + epoch)
            order, epoch = torch.cat([order, torch.randperm(len(x), generator=generator)]), epoch + 1
        yield Batch(x[order[:size]])
        order = order[size:]


def compare(start: Callable[[], Job], repeats: int) -> tuple[list[float], float, bool]:
    """Ratios host / bare, the median seconds of the bare loop, and whether the weights came out the same."""
    ratios, seconds, same = [], [], True
    for number in range(repeats):
        pair = {way: way(start()) for way in ((host, bare) if number % 2 else (bare, host))}
        (model, host_seconds), (bare_model, bare_seconds) = pair[host], pair[bare]
        ratios.append(host_seconds / bare_seconds)
        seconds.append(bare_seconds)
        mine, theirs = model.state_dict(), bare_model.state_dict()
        same = same and all(torch.equal(value, theirs[name]) for name, value in mine.items())
    return ratios, statistics.median(seconds), same


def main() -> None:
    """Print one line a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    zoo, data = Zoo.load(), load(asked.data)
    print(f"{asked.data}, {asked.steps} steps, {asked.repeats} repetitions, {torch.get_num_threads()} threads")
    print("model      host/bare  (range)          ms a bare step  same weights  load")
    for model in asked.models:
        values = {"model": model, "data": asked.data, "budget": f"{asked.steps}steps"}
        ratios, seconds, same = compare(starter(zoo, checked(TrainConfig, values, model), data), asked.repeats)
        spread = f"({min(ratios):.3f} to {max(ratios):.3f})"
        each = 1000 * seconds / asked.steps
        load_now = os.getloadavg()[0]
        print(f"{model:10} {statistics.median(ratios):<10.3f} {spread:16} {each:<15.2f} {same!s:13} {load_now:.1f}")


def starter(zoo: Zoo, config: TrainConfig, data: Data) -> Callable[[], Job]:
    """What makes the same untrained model and trainer again and again."""
    return lambda: prepare(zoo, config, data)


if __name__ == "__main__":
    main()
