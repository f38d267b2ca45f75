"""The same images through the command lines of GenZoo and torch-fidelity, and through prdc, side by side.

python benchmarks/side_by_side.py                                    400 training digits against 400 of the test split
python benchmarks/side_by_side.py GENERATED REAL --extractor rand28  two .npz files (arr_0) or folders of images

torch-fidelity knows only what was registered in its own process, so its command line runs as ``python -c``, after lines
that register GenZoo's extractors and the two sets of images. Both programs get the very same bytes: from a folder
torch-fidelity would make RGB of grey. Its first input is the generated one; its cache is off, because it goes by name
alone; so is the GPU, which it takes where it finds one. KID is of one subset with all rows, not the mean over 100.
"""

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prdc import compute_prdc

from genzoo.data import load
from genzoo.errors import GenZooError
from genzoo.evaluation import extract, load_extractor
from genzoo.evaluation.samples import read_images

REGISTERED = """
import numpy, torch
from genzoo.evaluation import register_with_torch_fidelity
from torch_fidelity import register_dataset
from torch_fidelity.fidelity import main

register_with_torch_fidelity()
for name in ("generated", "real"):
    images = torch.from_numpy(numpy.load(f"{name}.npz")["arr_0"]).permute(0, 3, 1, 2).contiguous()
    register_dataset(name, lambda root, download, images=images: torch.utils.data.Subset(images, range(len(images))))
main()
"""
FIDELITY = {
    "fd": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    "precision_k3": "precision",
    "recall_k3": "recall",
}
PRDC = ("precision", "recall", "density", "coverage")
K = 5
HEADER = f"{'metric':14} {'genzoo':15} {'other':15} {'difference':10} whose"


@dataclass(frozen=True)
class Line:
    """One metric, by GenZoo and by another package."""

    metric: str
    ours: float
    theirs: float
    whose: str

    @property
    def difference(self) -> float:
        """Relative to the larger."""
        return abs(self.ours - self.theirs) / max(abs(self.ours), abs(self.theirs), 1e-300)

    def __str__(self) -> str:
        return f"{self.metric:14} {self.ours:<15.9g} {self.theirs:<15.9g} {self.difference:<10.1g} {self.whose}"


def genzoo_command(extractor: str) -> list[str]:
    """GenZoo's command line."""
    how = ["--extractor", extractor, "--beside", "none", "--json"]
    return [sys.executable, "-m", "genzoo", "evaluate", "generated.npz", "--against", "real.npz", *how]


def fidelity_command(extractor: str, num_images: int) -> list[str]:
    """torch-fidelity's command line."""
    what = ["--fid", "--prc", "--kid", "--kid-subsets", "1", "--kid-subset-size", str(num_images)]
    how = ["--feature-extractor", extractor, "--cpu", "--no-cache", "--datasets-root", ".", "--silent", "--json"]
    return [sys.executable, "-c", REGISTERED, "--input1", "generated", "--input2", "real", *what, *how]


def printed(command: Sequence[str], folder: str) -> Any:
    """The JSON that a command prints, run in ``folder``."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def by_prdc(fake: np.ndarray, real: np.ndarray, extractor: str) -> Mapping[str, float]:
    """What prdc finds in GenZoo's features, in float64: it takes features, not images."""
    network = load_extractor(extractor)
    features = [extract(torch.from_numpy(images), network).double().numpy() for images in (real, fake)]
    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(*features, nearest_k=K)


def side_by_side(fake: np.ndarray, real: np.ndarray, extractor: str) -> list[Line]:
    """Every metric that another package has too; uint8 images [n, h, w, c], as many of each."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "generated.npz", arr_0=fake)
        np.savez(Path(folder) / "real.npz", arr_0=real)
        metrics = printed(genzoo_command(extractor), folder)["metrics"]
        theirs = printed(fidelity_command(extractor, len(fake)), folder)
    prdc = by_prdc(fake, real, extractor)
    lines = [Line(name, metrics[name]["value"], theirs[key], "torch-fidelity") for name, key in FIDELITY.items()]
    return [*lines, *(Line(name, metrics[name]["value"], prdc[name], f"prdc, k = {K}") for name in PRDC)]


def images(generated: Path | None, real: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """As many of both; the digits where nothing is given."""
    if generated is None or real is None:
        data = load("digits")
        sets = [data.train.images()[:400].numpy(), data.test.images()[:400].numpy()]
    else:
        sets = [read_images(path).x.numpy() for path in (generated, real)]
    n = min(map(len, sets))
    return sets[0][:n], sets[1][:n]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generated", nargs="?", type=Path)
    parser.add_argument("real", nargs="?", type=Path)
    parser.add_argument("--extractor", default="cnn8", help="a built-in one")
    options = parser.parse_args()
    if (options.generated is None) != (options.real is None):
        parser.error("give both GENERATED and REAL, or neither")
    try:
        fake, real = images(options.generated, options.real)
    except GenZooError as error:
        parser.error(str(error))
    print(f"{len(fake)} generated and {len(real)} real images, features of {options.extractor}\n\n{HEADER}", flush=True)
    print(*side_by_side(fake, real, options.extractor), sep="\n")


if __name__ == "__main__":
    main()
