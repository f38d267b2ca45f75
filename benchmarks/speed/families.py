"""How many training images a second each row of a suite takes here, what an image costs, and what it was before.

::

    python benchmarks/speed/families.py fashion-mnist [--seconds 20] [--only 'd*'] [--before OLD.json] [--out NEW.json]

Each model is trained for so many seconds as the suite says, alone on the machine, and forgotten. ``--out`` keeps the
numbers; ``--before`` puts those of another commit beside them. Parameters are those that sampling needs.
"""

import argparse
import fnmatch
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from genzoo.config import Budget
from genzoo.data import load
from genzoo.drawing import prepare_drawing
from genzoo.jobs import prepare
from genzoo.provenance import machine
from genzoo.suites import Plan, expand, load_suite
from genzoo.training import fit
from genzoo.zoo import Zoo

HEADER = "| model | trainer | M parameters | GFLOP an image | images a second | before: M, GFLOP, images/s | times |"


@dataclass(frozen=True)
class Rate:
    """What one training costs."""

    model: str
    trainer: str
    parameters: int
    flops_per_image: float
    images_per_second: float


def measure(zoo: Zoo, plan: Plan, seconds: float) -> Rate:
    """Train for so long, from the beginning."""
    config = plan.train.model_copy(update={"budget": Budget(seconds, "seconds")})
    job = prepare(zoo, config, load(config.data, size=config.size))
    needed = prepare_drawing(zoo, job.model, job.config, job.data, plan.samples[0]).parameters(job.model)
    done = fit(job.model, job.trainer, job.data.train, job.config)
    images = done.images_seen
    return Rate(config.model, str(job.config.trainer), needed, done.flops / images, images / done.seconds)


def line(rate: Rate, before: Rate | None) -> str:
    """One row of the table."""
    cells = [rate.model, rate.trainer, *_numbers(rate)]
    old = ", ".join(_numbers(before)) if before else ""
    times = f"{rate.images_per_second / before.images_per_second:.2f}" if before else ""
    return f"| {' | '.join([*cells, old, times])} |"


def _numbers(rate: Rate) -> list[str]:
    return [f"{rate.parameters / 1e6:.2f}", f"{rate.flops_per_image / 1e9:.2f}", f"{rate.images_per_second:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", default="*")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    old = json.loads(asked.before.read_text())["rates"] if asked.before else []
    before = {rate["model"]: Rate(**rate) for rate in old}
    print(HEADER, "|" + "---|" * HEADER.count(" | ") + "---|", sep="\n")
    rates, zoo = [], Zoo.load()
    for plans in expand(load_suite(asked.suite)):
        for plan in plans:
            if fnmatch.fnmatch(plan.train.model, asked.only) and plan.run.role == "model":
                rates.append(measure(zoo, plan, asked.seconds))
                print(line(rates[-1], before.get(plan.train.model)), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps({"machine": machine(), "rates": [asdict(rate) for rate in rates]}, indent=2))


if __name__ == "__main__":
    main()
