"""Whether this machine computes what is known: closed forms, brute force, another package; and what it consists of."""

import importlib.metadata
import math
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch_fidelity
from torch import Generator, Tensor, nn
from torch.utils.data import Dataset

from genzoo import evaluation as ev
from genzoo.capabilities import Density, Mass
from genzoo.data import cache, load
from genzoo.doctor.cases import Digits, perfect
from genzoo.evaluation.frechet import frechet_distance
from genzoo.evaluation.networks import BUILT_IN
from genzoo.evaluation.pairs import pair_statistics
from genzoo.images import to_levels, to_unit
from genzoo.provenance import environment
from genzoo.zoo import Zoo

PACKAGES = ("genzoo", "torch", "torchvision", "diffusers", "accelerate", "datasets", "torch-fidelity", "numpy")
DIGITS = "4cb57ca495ba7e0ab79c6be7d57ff561b1882496b7af5bc38e6c94c70ba46bba"
WEIGHTS: Mapping[str, str] = {
    "cnn8": "c87712988b963bb6d13a5e8b54ad55b09b10873f133b8c93dcd8ae285db77f12",
    "cnn28": "e18593eab1a8b616c5b98147dd103d5a24d190757dba74d13bad948f49ac5a4f",
    "rand28": "4ad536cf1e12406f8c2c70098cd5661d9c288d7f59f15d1f1271e4fb09183513",
    "rand32": "b36147a738776177095a069d3e04402efcaf16d56a07f2f51b4146b0bce16aff",
}
EXTRACTION_ERROR = 2e-5
"""Features have variances of order 1 and are sums of a few hundred float32 terms: 1e-7 each, in another order."""
FIDELITY_ERROR = 1e-4
"""torch-fidelity averages features in float32, whose rounding enters the distance of a few tenths once for each."""


@dataclass(frozen=True)
class Finding:
    """What one check of the machine found, in one line."""

    check: str
    ok: bool
    detail: str


class Wrong(Exception):
    """What should have been found and was not."""


def expect(close: bool, said: str) -> str:
    """What was found, if it is right; raises :class:`Wrong` with it if not."""
    if not close:
        raise Wrong(said)
    return said


def versions() -> str:
    """The packages that numbers depend on."""
    return ", ".join([f"python {platform.python_version()}", *map(_version, PACKAGES)])


def _version(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def processor() -> str:
    """Processor, threads and GPU."""
    found = environment("float32")
    return f"{found.cpu}, threads: {found.threads}, {found.gpu or 'no GPU'}"


def plugins() -> str:
    """No installed plugin is broken."""
    found = Zoo.load().plugins
    broken = [f"{plugin.name} is {plugin.status}" for plugin in found if plugin.status.startswith("broken")]
    names = [plugin.name if plugin.status == "ok" else f"{plugin.name} ({plugin.status})" for plugin in found]
    return expect(not broken, "; ".join(broken or [", ".join(names)]))


def cache_folder() -> str:
    """The cache may be written to, or made."""
    folder = cache.root()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise Wrong(f"{folder} cannot be written to: set GENZOO_CACHE to a folder that can") from error
    return str(folder)


def data() -> str:
    """The built-in digits are the known ones."""
    found = load("digits").fingerprint
    return expect(found == DIGITS, f"digits {_named(found, DIGITS)}")


def weights() -> str:
    """The built-in extractors have the weights that they were released with."""
    found = {name: ev.load_extractor(name).sha256 for name in BUILT_IN}
    said = ", ".join(f"{name} {_named(sha256, WEIGHTS.get(name, ''))}" for name, sha256 in found.items())
    return expect(found == WEIGHTS, said)


def _named(found: str, known: str) -> str:
    return found[:8] if found == known else f"{found[:8]}, which should be {known[:8] or 'known'}"


def rounding() -> str:
    """floor((L - 1) (x + 1) / 2 + 1/2), clipped: half rounds up, not to the even neighbour."""
    x = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0]).reshape(1, 1, 1, -1)
    found = [to_levels(x, levels).flatten().tolist() for levels in (256, 6)]
    said = f"-9, -1, 0, 1, 9 become {found[0]} of 256 levels and {found[1]} of 6"
    return expect(found == [[0, 0, 128, 255, 255], [0, 0, 3, 5, 5]], said)


def frechet() -> str:
    """Two sets whose sample means and covariances are exactly m, S and 0, I: |m|^2 + sum (sqrt(s_i) - 1)^2."""
    x, y = (_whitened(600, 24, seed) for seed in (0, 1))
    std = torch.linspace(0.1, 3, 24, dtype=torch.float64)
    found, truth = frechet_distance(x * std + 0.5, y), 24 * 0.25 + (std - 1).square().sum().item()
    return expect(math.isclose(found, truth, rel_tol=1e-9), f"Fréchet distance {found:.9f}, in closed form {truth:.9f}")


def _whitened(n: int, d: int, seed: int) -> Tensor:
    """Rows with sample mean 0 and sample covariance I, exactly."""
    x = torch.randn(n, d, generator=Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(x - x.mean(0)).Q * math.sqrt(n - 1)


def neighbours() -> str:
    """Who lies in whose ball, among integer points full of ties and duplicates, far from the origin."""
    fake, real = (torch.randint(4, (60, 3), generator=Generator().manual_seed(s)).double() + 1e6 for s in (0, 1))
    found = pair_statistics(fake, real)
    across = _square_distances(real, fake)
    inside = across < _square_distances(real, real).sort(1).values[:, 5:6]
    recalled = (across < _square_distances(fake, fake).sort(1).values[:, 5]).any(1)
    same = torch.equal(found.balls_around_fakes, inside.sum(0)) and torch.equal(found.covered, inside.any(1))
    said = f"{int(found.balls_around_fakes.sum())} pairs in balls, by brute force {int(inside.sum())}"
    return expect(same and torch.equal(found.recalled, recalled), said)


def _square_distances(x: Tensor, y: Tensor) -> Tensor:
    return (x[:, None] - y).square().sum(2)


class _UniformMass(nn.Module, Mass):
    """Every one of 256 levels is equally likely."""

    shape = (1, 8, 8)

    def log_mass(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), -x[0].numel() * math.log(256), dtype=torch.float64)


class _UniformDensity(nn.Module, Density):
    """Uniform over the cubes of all 256 levels."""

    shape = (1, 8, 8)

    def log_prob(self, x: Tensor) -> Tensor:
        inside = (x.abs() <= 256 / 255 + 1e-6).flatten(1).all(1)
        return torch.where(inside, -x[0].numel() * math.log(512 / 255), -math.inf)


def uniform() -> str:
    """Models to which all 256 levels are equally likely need 8 bits a dimension, whatever they offer."""
    levels = torch.randint(256, (16, 8, 8, 1), generator=Generator().manual_seed(0))
    models = {"as a mass": _UniformMass(), "as a density": _UniformDensity()}
    found = {how: ev.likelihoods(model, to_unit(levels, 256), 256)[0].value for how, model in models.items()}
    close = all(value is not None and abs(value - 8) < 1e-5 for value in found.values())
    return expect(close, ", ".join(f"{value:.7g} bits/dim {how}" for how, value in found.items()))


def extraction() -> str:
    """Features do not depend on the batch an image is in, nor on the number of threads."""
    images, extractor, threads = _fakes_and_reals()[0][:40], ev.load_extractor("cnn8"), torch.get_num_threads()
    whole = ev.extract(images, extractor)
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        parts = torch.cat([ev.extract(part, extractor) for part in images.split(7)])
    finally:
        torch.set_num_threads(threads)
    error = (whole - parts).abs().max().item()
    return expect(error < EXTRACTION_ERROR, f"batches of 7 and of 40, 1 thread and more: {error:.1g} apart at most")


class _Pictures(Dataset):
    """uint8 images [n, h, w, c] as torch-fidelity reads them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images.permute(0, 3, 1, 2).contiguous()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def fidelity() -> str:
    """torch-fidelity, given the registered extractor, finds the same Fréchet distance."""
    ev.register_with_torch_fidelity()
    fake, real = _fakes_and_reals()
    options: dict[str, Any] = {"fid": True, "cuda": False, "cache": False, "save_cpu_ram": True, "verbose": False}
    theirs = torch_fidelity.calculate_metrics(
        input1=_Pictures(fake), input2=_Pictures(real), feature_extractor="cnn8", **options
    )[torch_fidelity.KEY_METRIC_FID]
    extractor = ev.load_extractor("cnn8")
    ours = frechet_distance(ev.extract(fake, extractor), ev.extract(real, extractor))
    said = f"Fréchet distance {ours:.6f}, by its own pipeline {theirs:.6f}"
    return expect(math.isclose(ours, theirs, rel_tol=FIDELITY_ERROR), said)


def _fakes_and_reals() -> tuple[Tensor, Tensor]:
    digits = Digits.load(100)
    return perfect(digits), digits.test


CHECKS: Mapping[str, Callable[[], str]] = {
    "versions": versions,
    "processor": processor,
    "plugins": plugins,
    "cache": cache_folder,
    "data": data,
    "weights": weights,
    "rounding": rounding,
    "two Gaussians": frechet,
    "neighbours": neighbours,
    "uniform model": uniform,
    "features": extraction,
    "torch-fidelity": fidelity,
}


def findings(checks: Mapping[str, Callable[[], str]] = CHECKS) -> list[Finding]:
    """What every check found; one that raises has failed, and the others go on."""
    return [_finding(name, check) for name, check in checks.items()]


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except Exception as error:
        kind = "" if isinstance(error, Wrong) else f"{type(error).__name__}: "
        return Finding(name, False, kind + " ".join(str(error).split()))
