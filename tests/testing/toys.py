"""A sound toy plugin, to be spoilt one fault at a time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import pytest
import torch
from torch import nn
from torch.optim import Adam

from genzoo.capabilities import Decoder, Density, Encoder, Score, as_score
from genzoo.errors import InvalidSamples
from genzoo.hookspecs import hookimpl
from genzoo.protocols import Measurement
from genzoo.testing import checks
from genzoo.zoo import Zoo


class Affine(nn.Module, Density, Encoder, Decoder):
    """x = mean + exp(log_std) z: sound."""

    trainer, sampler = "likelihood", "draw"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = self.latent_shape = shape
        self.mean, self.log_std = nn.Parameter(0.1 * torch.randn(shape)), nn.Parameter(torch.zeros(shape))

    def encode(self, x):
        return (x - self.mean) * torch.exp(-self.log_std)

    def decode(self, z):
        return self.mean + self.log_std.exp() * z

    def log_prob(self, x):
        return (-0.5 * (self.encode(x) ** 2 + math.log(2 * math.pi)) - self.log_std).flatten(1).sum(1)


class Likelihood:
    """Descends -log p(x): sound."""

    needs: ClassVar = (Density,)

    def optimizers(self, model):
        return {"model": Adam(model.parameters(), lr=0.02)}

    def losses(self, model, batches):
        yield "model", -model.log_prob(next(batches).x).mean()


@dataclass(frozen=True)
class Draw:
    """Decodes noise: sound."""

    needs: ClassVar = (Decoder,)

    def steps(self, model, n, generator):
        yield model.decode(torch.randn((n, *model.latent_shape), generator=generator))


@dataclass(frozen=True)
class Langevin:
    """Unadjusted Langevin: sound, and biased as its formula says."""

    step: float = 0.02
    num_steps: int = 150
    needs: ClassVar = (Score,)

    def steps(self, model, n, generator):
        score, x = as_score(model), torch.randn((n, *model.shape), generator=generator)
        for _ in range(self.num_steps):
            x = x + 0.5 * self.step * score.score(x) + self.noise(x, generator)
            yield x

    def noise(self, x, generator):
        return self.step**0.5 * torch.randn(x.shape, generator=generator)

    def expected_std(self, model, std):
        return std / math.sqrt(1 - self.step / (4 * std**2))


@runtime_checkable
class OfToyAlone(Protocol):
    """A capability that no closed-form model has."""

    def toy(self, x): ...


class Means(nn.Module):
    """The mean of every channel, of images of any size: sound."""

    sha256, batch_size = "0123456789abcdef" * 4, 10

    def check_shape(self, shape):
        if min(shape) < 1:
            raise InvalidSamples("no pixels")

    def features(self, images):
        return images.float().mean((2, 3)) / 255


def brightness_gap(comparison):
    """|mean level of the generated - mean level of the real images|: sound."""
    generated, real = (side.images.double().mean().item() for side in (comparison.generated, comparison.real))
    return Measurement(abs(generated - real), "lower", "mean levels")


def zoo_with(
    *,
    model: Any = Affine,
    trainer: Any = Likelihood,
    sampler: Any = Draw,
    extractor: Any = Means,
    metric: Any = lambda: brightness_gap,
) -> Zoo:
    """A zoo of one plugin, ``toy``: ``toy`` trained by ``likelihood``, sampled by ``draw``; ``means`` and ``gap``."""

    class Plugin:
        @hookimpl
        def genzoo_models(self) -> Mapping[str, Any]:
            return {"toy": model}

        @hookimpl
        def genzoo_trainers(self) -> Mapping[str, Any]:
            return {"likelihood": trainer}

        @hookimpl
        def genzoo_samplers(self) -> Mapping[str, Any]:
            return {"draw": sampler}

        @hookimpl
        def genzoo_extractors(self) -> Mapping[str, Any]:
            return {"means": extractor}

        @hookimpl
        def genzoo_metrics(self) -> Mapping[str, Any]:
            return {"gap": metric}

    zoo = Zoo()
    zoo.register(Plugin(), "toy")
    return zoo


def run(role: str, name: str, check_name: str, zoo: Zoo) -> None:
    """Run the checks of that name; there has to be one."""
    chosen = [c for c in checks(role, name, zoo) if c.name.split("/")[2].split("[")[0] == check_name]
    assert chosen, [c.name for c in checks(role, name, zoo)]
    for each in chosen:
        each()


def fails(reason: str) -> Any:
    return pytest.raises(AssertionError, match=reason)


SOUND = zoo_with()
