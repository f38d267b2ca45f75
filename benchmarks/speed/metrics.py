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
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from ways import WAYS

HEADER = (
    f"{'case':13} {'what':16} {'size':14} {'genzoo s':>9} {'MB':>6} {'others s':>8} {'MB':>6} {'ratio':>6}  difference"
)
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
