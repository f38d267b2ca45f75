"""GenZoo's metrics of features against prdc, torch-fidelity and scipy on the same features, and one whole evaluation.

::

    python benchmarks/speed/metrics.py [--only 2k 10k] [--out FILE]

    2k, 10k, 50k    n x n features, d = 64: every neighbour and kernel metric and the Frechet distance,
                    against prdc + torch-fidelity's KID (its default, 100 subsets of 1000) and FID
    10k-wide        the same with d = 2048
    frechet         the Frechet distance alone at d = 2048: from 10,000 features, and from moments,
                    against torch-fidelity and against scipy.linalg.sqrtm
    memorisation    10,000 generated and 10,000 test rows against 60,000 training rows, d = 64; nobody to compare with
    images          10,000 images of 28x28 and 60,000 training images, from pixels to all metrics

Every measurement runs in a process of its own, on all threads, after the same computation on 200 rows: libraries are
loaded and the pages of their code are there. Memory is the peak above what the process held before the call, features
included; where the system does not tell, it is left out. A ratio is theirs over ours. At 50k the others are skipped:
three matrices of 50,000 x 50,000 distances are 30 GB.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genzoo.memory import PeakMemory

Values = dict[str, float]
NUM_WARM_UP = 200
HEADER = (
    f"{'case':13} {'what':16} {'size':14} {'genzoo s':>9} {'MB':>6} {'others s':>8} {'MB':>6} {'ratio':>6}  difference"
)


def features(n: int, d: int) -> tuple[Tensor, Tensor]:
    """Generated and real features, float32 [n, d]: correlated, rectified, the generated ones a bit off."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(d, d, generator=generator) / d**0.5
    fake, real = (torch.randn(n, d, generator=generator) @ mixing for _ in range(2))
    return (0.95 * fake + 0.05).relu_(), real.relu_()


def ours(fake: Tensor, real: Tensor) -> Values:
    """All neighbour and kernel metrics, and the Frechet distance."""
    from genzoo.evaluation.pairs import K_STRICT, pair_statistics

    found = pair_statistics(fake, real)
    balls = found.balls_around_fakes.double()
    mmd = found.kernel_sums.mmd2()
    return {
        "precision": (balls > 0).double().mean().item(),
        "recall": found.recalled.double().mean().item(),
        "density": balls.mean().item() / K_STRICT,
        "coverage": found.covered.double().mean().item(),
        "precision_k3": found.precise_k3.double().mean().item(),
        "recall_k3": found.recalled_k3.double().mean().item(),
        "kid": mmd.value,
        "kid_se": mmd.se,
        **our_distance(fake, real),
    }


def their_neighbours(fake: Tensor, real: Tensor) -> Values:
    """prdc."""
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        found = compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    return {name: float(value) for name, value in found.items()}


def their_kid(fake: Tensor, real: Tensor) -> Values:
    """torch-fidelity, its subsets no larger than the sets."""
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = min(1000, len(fake))
    return {"kid": kid_features_to_metric(fake, real, kid_subset_size=size, verbose=False)[KEY_METRIC_KID_MEAN]}


def our_distance(fake: Tensor, real: Tensor) -> Values:
    """The Frechet distance from features."""
    from genzoo.evaluation.frechet import frechet_distance

    return {"fd": frechet_distance(fake, real)}


def their_distance(fake: Tensor, real: Tensor) -> Values:
    """torch-fidelity's, from features."""
    return their_distance_of(*map(their_moments, (fake, real)))


def scipys_distance(fake: Tensor, real: Tensor) -> Values:
    """With scipy.linalg.sqrtm, as the first implementation had it, from features."""
    return scipys_distance_of(*map(their_moments, (fake, real)))


def their_moments(x: Tensor) -> dict[str, Any]:
    """Mean and covariance as torch-fidelity keeps them."""
    from torch_fidelity.metric_fid import fid_features_to_statistics

    return fid_features_to_statistics(x)


def our_distance_of(fake: dict[str, Any], real: dict[str, Any]) -> Values:
    """The Frechet distance from moments."""
    from genzoo.evaluation.frechet import frechet_between
    from genzoo.evaluation.moments import Moments

    of_fake, of_real = (
        Moments(*(torch.from_numpy(x[name]).double() for name in ("mu", "sigma"))) for x in (fake, real)
    )
    return {"fd": frechet_between(of_fake, of_real)}


def their_distance_of(fake: dict[str, Any], real: dict[str, Any]) -> Values:
    """torch-fidelity's, from moments."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    return {"fd": fid_statistics_to_metric(fake, real, verbose=False)[KEY_METRIC_FID]}


def scipys_distance_of(fake: dict[str, Any], real: dict[str, Any]) -> Values:
    """With scipy.linalg.sqrtm, from moments."""
    from scipy.linalg import sqrtm

    shift, root = fake["mu"] - real["mu"], sqrtm(fake["sigma"] @ real["sigma"])
    return {"fd": float(shift @ shift + (fake["sigma"] + real["sigma"] - 2 * root.real).trace())}


def our_memorisation(fake: Tensor, real: Tensor, train: Tensor) -> Values:
    """Authenticity, copy rate and rank test."""
    from genzoo.evaluation.memorisation import memorisation

    return asdict(memorisation(fake, real, train))


def our_evaluation(fake: Tensor, real: Tensor, train: Tensor) -> Values:
    """Everything of uint8 images."""
    from genzoo.evaluation import evaluate_images

    found = evaluate_images(fake, real, train=train)
    return {name: metric.value for name, metric in found.items() if metric.value is not None}


def moments(n: int, d: int) -> tuple[dict[str, Any], ...]:
    """Of :func:`features`."""
    return tuple(map(their_moments, features(n, d)))


def three_sets(n: int, d: int) -> tuple[Tensor, ...]:
    """Generated and real features, and six times as many training features."""
    fake, real = features(n, d)
    return fake, real, features(6 * n, d)[1]


def images(n: int, size: int) -> tuple[Tensor, ...]:
    """Generated, test and six times as many training images of smooth grey blots, uint8 [n, size, size, 1]."""
    generator = torch.Generator().manual_seed(0)

    def draw(num: int) -> Tensor:
        coarse = torch.rand(num, 1, 5, 5, generator=generator) ** 2
        fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
        return (255 * fine).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    return draw(n), draw(n), draw(6 * n)


@dataclass(frozen=True)
class Way:
    """A computation, and what makes its arguments from a number of rows and a width."""

    compute: Callable[..., Values]
    arguments: Callable[[int, int], tuple[Any, ...]]

    def measure(self, n: int, d: int) -> dict[str, Any]:
        """Seconds, megabytes beyond those held before, and the values."""
        self.compute(*self.arguments(NUM_WARM_UP, min(d, 256)))
        arguments = self.arguments(n, d)
        memory = PeakMemory(torch.device("cpu"))
        before, started = memory.megabytes(), time.perf_counter()
        values = self.compute(*arguments)
        seconds, after = time.perf_counter() - started, memory.megabytes()
        extra = None if before is None or after is None else after - before
        return {"seconds": seconds, "megabytes": extra, "values": values}


WAYS = {
    "genzoo": Way(ours, features),
    "prdc": Way(their_neighbours, features),
    "torch-fidelity kid": Way(their_kid, features),
    "torch-fidelity fid": Way(their_distance, features),
    "genzoo fd": Way(our_distance, features),
    "scipy fd": Way(scipys_distance, features),
    "genzoo fd of moments": Way(our_distance_of, moments),
    "torch-fidelity fid of moments": Way(their_distance_of, moments),
    "scipy fd of moments": Way(scipys_distance_of, moments),
    "genzoo memorisation": Way(our_memorisation, three_sets),
    "genzoo evaluate_images": Way(our_evaluation, images),
}
PACKAGES = ("prdc", "torch-fidelity kid", "torch-fidelity fid")


@dataclass(frozen=True)
class Row:
    """One line of the table: our way, the others' ways, added up, and the size."""

    case: str
    n: int
    d: int
    way: str
    others: tuple[str, ...] = ()
    skipped: str = ""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> None:
        """Measure each way in a process of its own."""
        for way in (self.way, *self.others):
            command = [sys.executable, __file__, "--measure", way, str(self.n), str(self.d)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise SystemExit(f"{way} at {self.n} x {self.d} ended with status {done.returncode}")
            self.results[way] = json.loads(done.stdout.splitlines()[-1])

    def __str__(self) -> str:
        mine, theirs = self.results[self.way], [self.results[way] for way in self.others]
        seconds, megabytes = mine["seconds"], _rounded(mine["megabytes"])
        start = f"{self.case:13} {self.way.removeprefix('genzoo '):16} {self.n:>6} x {self.d:<5}"
        start = f"{start} {seconds:9.2f} {megabytes:>6}"
        if not theirs:
            return f"{start}  {self.skipped}"
        total = sum(x["seconds"] for x in theirs)
        peak = max((x["megabytes"] for x in theirs if x["megabytes"] is not None), default=None)
        return f"{start} {total:8.2f} {_rounded(peak):>6} {total / seconds:6.1f}  {self.agreement()}"

    def agreement(self) -> str:
        """The largest differences of numbers that both computed; of the kernel distance in standard errors of ours."""
        mine = self.results[self.way]["values"]
        theirs = {name: value for way in self.others for name, value in self.results[way]["values"].items()}
        shares = [abs(theirs[name] - mine[name]) for name in theirs if name not in ("kid", "fd")]
        parts = [f"neighbours {max(shares):.1e}"] if shares else []
        if "kid" in theirs:
            parts.append(f"kid {abs(theirs['kid'] - mine['kid']) / mine['kid_se']:.1g} se")
        return ", ".join([*parts, f"fd {abs(theirs['fd'] / mine['fd'] - 1):.1e}"])


def _rounded(megabytes: float | None) -> str:
    return "?" if megabytes is None else f"{megabytes:.0f}"


def rows() -> list[Row]:
    """The whole table."""
    wide = partial(Row, "frechet", 10_000, 2048)
    return [
        Row("2k", 2_000, 64, "genzoo", PACKAGES),
        Row("10k", 10_000, 64, "genzoo", PACKAGES),
        Row("50k", 50_000, 64, "genzoo", skipped="others skipped: they need about 30 GB"),
        Row("10k-wide", 10_000, 2048, "genzoo", PACKAGES),
        wide("genzoo fd", ("torch-fidelity fid",)),
        wide("genzoo fd", ("scipy fd",)),
        wide("genzoo fd of moments", ("torch-fidelity fid of moments",)),
        wide("genzoo fd of moments", ("scipy fd of moments",)),
        Row("memorisation", 10_000, 64, "genzoo memorisation"),
        Row("images", 10_000, 28, "genzoo evaluate_images"),
    ]


def main() -> None:
    """Print the table, a line as soon as it is measured."""
    table = rows()
    cases = list(dict.fromkeys(row.case for row in table))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=cases, default=cases, metavar="CASE", help=", ".join(cases))
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write every measurement and value as JSON")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        way, n, d = asked.measure
        print(json.dumps(WAYS[way].measure(int(n), int(d))))
        return
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}; megabytes beyond the features")
    print(HEADER)
    done = [row for row in table if row.case in asked.only]
    for row in done:
        row.run()
        print(row, flush=True)
    if asked.out:
        asked.out.write_text(json.dumps([asdict(row) for row in done], indent=1) + "\n")


if __name__ == "__main__":
    main()
