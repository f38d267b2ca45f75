"""What ``metrics.py`` times: GenZoo's way to each metric and the others' ways, on the same made-up features."""

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.memory import PeakMemory

Values = dict[str, float]
NUM_WARM_UP = 200


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
