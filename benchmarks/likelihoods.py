"""A uniform and a Gaussian model through every kind of likelihood, beside the closed form.

python benchmarks/likelihoods.py           the quick settings, a few seconds
python benchmarks/likelihoods.py --full    the full ones, two or three minutes

Bits per dimension of images of 4x4 pixels and 256 levels, nats of points in the plane. The Gaussian is fitted by
maximum likelihood to the examples that it judges. As a latent-variable model it is the probabilistic principal
components of its covariance with an approximate posterior, so that its bound has a gap, which more draws close.
"""

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genzoo.evaluation.likelihood import likelihoods
from genzoo.evaluation.record import Likelihood
from genzoo.testing import GaussianReference
from genzoo.testing.closed_forms import LinearVAE, Only, Uniform

SHAPE, LEVELS, COMPONENTS = (1, 4, 4), 256, 3
PARTS = (
    ("log_mass",),
    ("log_prob",),
    ("bounds", "log_bound", "log_weights"),
    ("predict", "betas"),
    ("denoise", "sigma_min", "sigma_max"),
    ("energy",),
)
HEADER = f"{'kind':<71}{'value':>9}{'± s.e.':>9}{'closed form':>13}{'examples':>10}{'calls':>9}"


@dataclass(frozen=True)
class Subject:
    """Models of one distribution, examples of it, and what they cost on average in closed form."""

    title: str
    models: tuple[Any, ...]
    x: Tensor
    levels: int | None
    truth: float


def levels_of(x: Tensor) -> Tensor:
    """Rounded to the nearest of 256 levels in [-1, 1]."""
    return ((x.clamp(-1, 1) + 1) * (LEVELS - 1) / 2).round() * 2 / (LEVELS - 1) - 1


def fitted(x: Tensor, components: int) -> LinearVAE:
    """Probabilistic principal components of x [n, *shape], in closed form (Tipping and Bishop, 1999, equation 7)."""
    rows = x.flatten(1)
    variances, axes = torch.linalg.eigh(rows.T.cov(correction=0))
    left_over = variances[:-components].mean() if components < rows.shape[1] else 0.5 * variances[0]
    turn = torch.linalg.qr(torch.randn(components, components, generator=torch.Generator().manual_seed(3)))[0]
    weight = axes[:, -components:] * (variances[-components:] - left_over).sqrt()
    return LinearVAE(x.mean(0), weight @ turn, left_over.sqrt().item())


def uniform_images() -> Subject:
    """Every level equally likely: 8 bits."""
    x = torch.randint(0, LEVELS, (256, *SHAPE), generator=torch.Generator().manual_seed(0)) * 2 / (LEVELS - 1) - 1
    return Subject("uniform, images of 256 levels (bits/dim)", (Uniform(SHAPE, LEVELS),), x, LEVELS, 8.0)


def gaussian_images() -> Subject:
    """Three components and noise."""
    generator = torch.Generator().manual_seed(1)
    mixing = 0.15 * torch.randn(COMPONENTS, 16, generator=generator)
    noise = 0.1 * torch.randn(256, 16, generator=generator)
    x = levels_of((torch.randn(256, COMPONENTS, generator=generator) @ mixing + noise).view(-1, *SHAPE))
    vae = fitted(x, COMPONENTS)
    bits = -vae.log_prob(x).mean().item() / 16 / math.log(2) - math.log2(2 / (LEVELS - 1))
    models = (vae, GaussianReference(vae.mean, vae.covariance))
    return Subject("fitted Gaussian, images of 256 levels (bits/dim)", models, x, LEVELS, bits)


def gaussian_points() -> Subject:
    """A slanted ellipse."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(4000, 2, generator=generator) @ torch.tensor([[0.9, 0.4], [0.0, 0.6]])
    vae = fitted(x - x.mean(0), 2)
    models = (vae, GaussianReference(vae.mean, vae.covariance))
    return Subject(
        "fitted Gaussian, points (nats)", models, x - x.mean(0), None, -vae.log_prob(x - x.mean(0)).mean().item()
    )


def rows(subject: Subject, *, full: bool) -> Iterator[Likelihood]:
    """Each capability of each model, alone; a Gaussian's bound is the latent-variable model's."""
    latent, model = subject.models[0], subject.models[-1]
    for members in PARTS:
        of = latent if "log_weights" in members else model
        if all(hasattr(of, name) for name in members):
            yield from likelihoods(Only(of, *members), subject.x, subject.levels, full=full)


def line(found: Likelihood, truth: float) -> str:
    """One row of the table."""
    if found.value is None:
        return f"{found.reason}"
    return f"{found.kind:<71}{found.value:>9.4f}{found.se:>9.4f}{truth:>13.4f}{found.n:>10,}{found.calls:>9.1f}"


def main(full: bool) -> None:
    """Print the tables."""
    started = time.perf_counter()
    for subject in (uniform_images(), gaussian_images(), gaussian_points()):
        print(f"\n{subject.title}\n{HEADER}")
        for found in rows(subject, full=full):
            print(line(found, subject.truth))
    print(f"\n{time.perf_counter() - started:.1f} s. A lower bound of the likelihood is an upper bound of the cost;")
    print(
        "s.e. is over the examples and what is drawn: the truth is of the same examples, so most kinds are far nearer."
    )


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
