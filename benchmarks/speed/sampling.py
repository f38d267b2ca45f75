"""``genzoo.sampling.draw`` against driving a diffusers scheduler by hand.

::

    OMP_NUM_THREADS=1 python benchmarks/speed/sampling.py [--data digits] [--num-samples 200] [--repeats 7]

The same untrained model (an untrained network costs what a trained one does), scheduler, number of steps, batch, noise
and precision; the samples must come out equal bit for bit. The host also counts calls and parameters and looks for
what is not finite. A ratio is host over by hand.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from pairs import HEADER, compare
from torch import Generator, Tensor

from genzoo.data import load
from genzoo.images import is_image
from genzoo.precision import allows_bf16, choose_precision
from genzoo.sampling import draw
from genzoo.zoo import Zoo

SEED, NUM_STEPS = 0, 50
SCHEDULERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "ddpm": partial(DDPMScheduler, variance_type="fixed_large"),
}


@dataclass(frozen=True)
class Task:
    """``n`` samples of a model by a sampler of the zoo."""

    name: str
    sampler: Any
    model: Any
    n: int

    def host(self) -> tuple[Mapping[str, Tensor], float]:
        """Samples and seconds, the host's way."""
        started = time.perf_counter()
        return {"x": draw(self.sampler, self.model, self.n, SEED).x}, time.perf_counter() - started

    def by_hand(self) -> tuple[Mapping[str, Tensor], float]:
        """Samples and seconds of the loop in diffusers' documentation."""
        model = self.model.eval().requires_grad_(False)
        bf16 = choose_precision("auto", allows_bf16(self.sampler, model), torch.device("cpu")) == "bf16"
        started = time.perf_counter()
        every = len(model.betas) // NUM_STEPS
        abar = torch.cumprod(1 - model.betas.double(), 0)[every - 1 :: every]
        betas = 1 - abar / torch.cat([abar.new_ones(1), abar[:-1]])
        scheduler = SCHEDULERS[self.name](
            trained_betas=betas.float().numpy(), num_train_timesteps=NUM_STEPS, clip_sample=is_image(model.shape)
        )
        scheduler.set_timesteps(NUM_STEPS)
        generator = Generator().manual_seed(SEED)
        x = torch.randn((self.n, *model.shape), generator=generator)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            for t in scheduler.timesteps:
                noise = model.predict(x, every * (t + 1) - 1)
                x = scheduler.step(noise, t, x, generator=generator).prev_sample
        return {"x": x}, time.perf_counter() - started


def main() -> None:
    """Print one line a sampler."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--num-samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    zoo = Zoo.load()
    model = zoo.model("ddpm", load(asked.data).shape)
    print(f"{asked.num_samples} samples of {asked.data} in {NUM_STEPS} steps, {torch.get_num_threads()} threads")
    print(f"{'sampler':10} {HEADER}")
    for name in SCHEDULERS:
        task = Task(name, zoo.sampler(name, {"num_steps": NUM_STEPS}), model, asked.num_samples)
        task.host()  # the first one imports
        print(f"{name:10} {compare(task.host, task.by_hand, asked.repeats)}", flush=True)


if __name__ == "__main__":
    main()
