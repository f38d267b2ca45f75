"""Conditional models, a classifier of noisy data and trainers that ask for trained models: small, for tests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Adam, Optimizer

from genzoo.capabilities import (
    Conditional,
    Decoder,
    Density,
    Given,
    NoisePredictor,
    NoisyClassifier,
    NoisyScore,
    expand,
    labelled,
)
from genzoo.hookspecs import hookimpl
from genzoo.nets import vector_field
from genzoo.protocols import Batch
from genzoo.zoo import Zoo


class Diffusion(nn.Module, NoisePredictor, Conditional):
    """A noise predictor in ten steps, of p(x) or of p(x | label)."""

    trainer, sampler = "noise", "walk-back"
    betas: Tensor

    def __init__(
        self, shape: tuple[int, ...], *, width: int = 8, conditional: bool = False, num_classes: int | None = None
    ) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("betas", torch.linspace(0.01, 0.5, 10), persistent=False)
        if conditional:
            if num_classes is None:
                raise ValueError("conditional=true needs data with labels")
            self.num_classes = num_classes
        self.net = vector_field(shape, width=width, num_classes=num_classes if conditional else None)

    def predict(self, x_t: Tensor, timestep: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return self.net(x_t, timestep.expand(len(x_t)) / 10, labels)

    def given(self, labels: Tensor) -> Given:
        return Given(self, labels)


class Classifier(nn.Module, NoisyClassifier):
    """Linear in x and log sigma; it makes no samples."""

    trainer, sampler = "classification", ""
    sigma_min, sigma_max = 0.01, 10.0

    def __init__(self, shape: tuple[int, ...], *, num_classes: int | None = None) -> None:
        super().__init__()
        if num_classes is None:
            raise ValueError("a classifier needs data with labels")
        self.shape, self.num_classes = shape, num_classes
        self.net = nn.Linear(torch.Size(shape).numel() + 1, num_classes)

    def log_class_probs(self, x: Tensor, sigma: Tensor) -> Tensor:
        level = sigma.log().expand(len(x))[:, None].to(x)
        return F.log_softmax(self.net(torch.cat([x.flatten(1), level], 1)), 1)


class Normal(nn.Module, Density, Decoder):
    """A normal density of points."""

    trainer, sampler = "fit", "decode-it"

    def __init__(self, shape: tuple[int, ...], *, log_std: float = 0.0) -> None:
        super().__init__()
        self.shape = self.latent_shape = shape
        self.mean, self.log_std = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.tensor(log_std))

    def log_prob(self, x: Tensor) -> Tensor:
        return torch.distributions.Normal(self.mean, self.log_std.exp()).log_prob(x).flatten(1).sum(1)

    def decode(self, z: Tensor) -> Tensor:
        return self.mean + self.log_std.exp() * z


class Clusters(nn.Module, Density, Decoder, Conditional):
    """A normal distribution for each class."""

    trainer, sampler = "cluster", "decode-it"

    def __init__(self, shape: tuple[int, ...], *, num_classes: int | None = None) -> None:
        super().__init__()
        assert num_classes is not None
        self.shape = self.latent_shape = shape
        self.num_classes = num_classes
        self.means, self.log_std = (
            nn.Embedding(num_classes + 1, torch.Size(shape).numel()),
            nn.Parameter(torch.zeros(())),
        )

    def _mean(self, labels: Tensor | None, n: int) -> Tensor:
        return self.means(torch.full((n,), self.num_classes) if labels is None else labels).view(-1, *self.shape)

    def log_prob(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        normal = torch.distributions.Normal(self._mean(labels, len(x)), self.log_std.exp())
        return normal.log_prob(x).flatten(1).sum(1)

    def decode(self, z: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return self._mean(labels, len(z)) + self.log_std.exp() * z

    def given(self, labels: Tensor) -> Given:
        return Given(self, labels)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Maximum likelihood of p(x | y)."""

    needs: ClassVar[tuple[type, ...]] = (Density,)

    def optimizers(self, model: nn.Module) -> Mapping[str, Optimizer]:
        return {"model": Adam(model.parameters(), lr=0.1)}

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        batch = next(batches)
        yield "model", -labelled(model, batch.y).log_prob(batch.x).mean()


@dataclass(frozen=True, kw_only=True)
class Noise:
    """E |eps - eps(x_t, t)|^2."""

    lr: float = 1e-2
    needs: ClassVar[tuple[type, ...]] = (NoisePredictor,)

    def optimizers(self, model: nn.Module) -> Mapping[str, Optimizer]:
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        batch = next(batches)
        model = labelled(model, batch.y, 0.1)
        abar = torch.cumprod(1 - model.betas, 0)
        t, eps = torch.randint(10, (len(batch),)), torch.randn_like(batch.x)
        x_t = expand(abar[t].sqrt(), batch.x) * batch.x + expand((1 - abar[t]).sqrt(), batch.x) * eps
        yield "model", ((eps - model.predict(x_t, t)) ** 2).mean()


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Cross-entropy at random noise."""

    lr: float = 1e-1
    needs: ClassVar[tuple[type, ...]] = (NoisyClassifier,)

    def optimizers(self, model: nn.Module) -> Mapping[str, Optimizer]:
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        batch = next(batches)
        sigma = torch.rand(len(batch)) + 0.01
        x = batch.x + expand(sigma, batch.x) * torch.randn_like(batch.x)
        assert batch.y is not None
        yield "model", F.nll_loss(model.log_class_probs(x, sigma), batch.y)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Maximum likelihood, less the mean log-likelihood of a reference, if there is one."""

    lr: float = 1e-2
    reference: Density | None = None
    needs: ClassVar[tuple[type, ...]] = (Density,)

    def optimizers(self, model: nn.Module) -> Mapping[str, Optimizer]:
        return {"model": Adam(model.parameters(), lr=self.lr)}

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        x = next(batches).x
        known = 0.0 if self.reference is None else self.reference.log_prob(x).mean()
        yield "model", known - model.log_prob(x).mean()


@dataclass(frozen=True, kw_only=True)
class WalkBack:
    """DDIM, in all ten steps."""

    needs: ClassVar[tuple[type, ...]] = (NoisePredictor,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        abar = [1.0, *torch.cumprod(1 - model.betas, 0).tolist()]
        x = torch.randn((n, *model.shape), generator=generator)
        for t in reversed(range(len(model.betas))):
            a, b = abar[t + 1], abar[t]
            eps = model.predict(x, torch.tensor(t))
            x = b**0.5 * (x - (1 - a) ** 0.5 * eps) / a**0.5 + (1 - b) ** 0.5 * eps
            yield x


@dataclass(frozen=True, kw_only=True)
class Descend:
    """Down the noise levels by Euler's steps; ``reference`` is where from."""

    reference: Decoder | None = None
    needs: ClassVar[tuple[type, ...]] = (NoisyScore,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        from genzoo.capabilities import as_noisy_score

        noisy, x = as_noisy_score(model), torch.randn((n, *model.shape), generator=generator)
        x = x if self.reference is None else self.reference.decode(x)
        for sigma in (1.0, 0.5, 0.25):
            x = x + sigma * noisy.noisy_score(x, torch.tensor(sigma))
            yield x


@dataclass(frozen=True, kw_only=True)
class DecodeIt:
    """x = g(z)."""

    needs: ClassVar[tuple[type, ...]] = (Decoder,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        yield model.decode(torch.randn((n, *model.latent_shape), generator=generator))


class Plugin:
    """All of it."""

    @hookimpl
    def genzoo_models(self) -> dict[str, Any]:
        return {"diffusion": Diffusion, "noisy-classifier": Classifier, "normal": Normal, "clusters": Clusters}

    @hookimpl
    def genzoo_trainers(self) -> dict[str, Any]:
        return {"noise": Noise, "classification": Classification, "fit": Fit, "cluster": Cluster}

    @hookimpl
    def genzoo_samplers(self) -> dict[str, Any]:
        return {"walk-back": WalkBack, "descend": Descend, "decode-it": DecodeIt}


def conditional_zoo() -> Zoo:
    """A zoo of it alone."""
    zoo = Zoo()
    zoo.register(Plugin(), "conditional")
    return zoo
