"""The host's training loop against a bare PyTorch loop that does the same mathematics.

::

    OMP_NUM_THREADS=1 python benchmarks/speed/loop.py [--data digits] [--steps 100] [--repeats 7] [MODEL ...]

Both train the same model on the same batches in the same order with the plugin's own objective and optimizers, the
same clipping, learning rates, averaging and precision; the averaged weights must come out equal bit for bit. The host
also checks every loss and gradient, counts the operations of a step now and then, logs and listens
for signals. What is timed is the loop, without building the model or the checkpoint at the end. A ratio is host over
bare.
"""

import argparse
import copy
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from pairs import HEADER, compare
from torch import Tensor, nn

from genzoo.config import TrainConfig, checked
from genzoo.data import load
from genzoo.images import laid_out
from genzoo.jobs import Job, prepare
from genzoo.precision import allows_bf16, choose_precision
from genzoo.protocols import Batch
from genzoo.training import fit
from genzoo.zoo import Zoo

MODELS = ("vae", "sngan", "realnvp", "ebm", "ddpm")


def host(start: Callable[[], Job]) -> tuple[Mapping[str, Tensor], float]:
    """The averaged weights, and the seconds of the host's loop."""
    job = start()
    with tempfile.TemporaryDirectory() as folder:
        done = fit(job.model, job.trainer, job.data.train, job.config, Path(folder))
    return done.model.state_dict(), done.seconds


def bare(start: Callable[[], Job]) -> tuple[Mapping[str, Tensor], float]:
    """The averaged weights, and the seconds of the loop that one writes by hand."""
    job = start()
    model, trainer, config = laid_out(job.model).train(), job.trainer, job.config
    steps = int(config.budget.amount)
    bf16 = choose_precision(config.precision, allows_bf16(trainer, model), torch.device("cpu")) == "bf16"
    torch.manual_seed(config.seed)
    if hasattr(trainer, "initialize"):
        trainer.initialize(model, Batch(job.data.train.x()[permutation(job, -1)[-config.batch_size :]]))
    torch.manual_seed(config.seed * 1_000_003)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    averages, weights = list(average.state_dict().values()), list(model.state_dict().values())
    optimizers = trainer.optimizers(model)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
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
    return average.state_dict(), time.perf_counter() - started


def batches(job: Job) -> Iterator[Batch]:
    """The training data in seeded permutations, one after another."""
    x, size, epoch, order = job.data.train.x(), job.config.batch_size, 0, torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < size:
            order, epoch = torch.cat([order, permutation(job, epoch)]), epoch + 1
        yield Batch(laid_out(x[order[:size]]))
        order = order[size:]


def permutation(job: Job, epoch: int) -> Tensor:
    """The order of the training data in that epoch."""
    generator = torch.Generator().manual_seed(job.config.seed * 1_000_003 + epoch)
    return torch.randperm(len(job.data.train), generator=generator)


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
    print(f"{'model':10} {HEADER}")
    for model in asked.models:
        config = checked(TrainConfig, {"model": model, "data": asked.data, "budget": f"{asked.steps}steps"}, model)
        start = partial(prepare, zoo, config, data)
        print(f"{model:10} {compare(partial(host, start), partial(bare, start), asked.repeats)}", flush=True)


if __name__ == "__main__":
    main()
