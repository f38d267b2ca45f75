"""Importance weights that are spoilt, one fault at a time, and the check that tells."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Adam
from toys import fails, run, zoo_with

from genzoo.capabilities import ImportanceWeighted


class Latent(nn.Module, ImportanceWeighted):
    """x = m + z + e, both normal: log p(x, z) - log q(z | x) with the exact posterior of half the variance. Sound."""

    trainer, sampler, bounds = "likelihood", "draw", "density"

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape, self.mean = shape, nn.Parameter(torch.zeros(shape))

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        offset = x - self.mean
        z = offset / 2 + math.sqrt(0.5) * torch.randn(k, *x.shape)
        log_joint = -0.5 * (z**2 + (offset - z) ** 2) - math.log(2 * math.pi)
        log_q = -((z - offset / 2) ** 2) - 0.5 * math.log(math.pi)
        return (log_joint - log_q).flatten(2).sum(2)


class Discrete(nn.Module, ImportanceWeighted):
    """Every level is equally likely, told with unbiased noise. Sound."""

    trainer, sampler, bounds = "likelihood", "draw", "mass"

    def __init__(self, shape: tuple[int, ...], levels: int | None = None) -> None:
        super().__init__()
        self.shape, self.levels, self.idle = shape, levels or 17, nn.Parameter(torch.zeros(1))

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        noise = 0.3 * torch.randn(k, len(x))
        return noise - 0.045 - x[0].numel() * math.log(self.levels) + 0 * self.idle


class Transposed(Latent):
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, k).T


class NotANumber(Latent):
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, k) + torch.nan


class TwiceTheDensity(Latent):
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, k) + math.log(2)


class OneDrawForAll(Latent):
    """Sound for one draw: the mean of 16 equal ones is no better, and no worse."""

    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, 1).expand(k, -1)


class WorseWithMore(Latent):
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, k) - 0.1 * k


class MassAboveOne(Discrete):
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, k) + 1000


class HalfTheMass(Discrete):
    def log_weights(self, x: Tensor, k: int) -> Tensor:
        return super().log_weights(x, k) - math.log(2)


class Weighs:
    """Ascends the bound of 4 draws: sound."""

    needs: ClassVar = (ImportanceWeighted,)

    def optimizers(self, model):
        return {"model": Adam(model.parameters(), lr=0.02)}

    def losses(self, model, batches):
        yield "model", -model.log_weights(next(batches).x, 4).logsumexp(0).mean()


@dataclass(frozen=True)
class Prior:
    needs: ClassVar = (ImportanceWeighted,)

    def steps(self, model, n, generator):
        yield model.mean + math.sqrt(2) * torch.randn((n, *model.shape), generator=generator)


def judge(model: Any, check: str) -> None:
    run("model", "toy", check, zoo_with(model=model, trainer=Weighs, sampler=Prior))


@pytest.mark.parametrize("model", [Latent, Discrete, OneDrawForAll])
def test_sound_weights_pass(model: Any) -> None:
    judge(model, "importance_weights_are_consistent")
    if model is not Discrete:
        judge(model, "importance_weights_integrate_to_one")
    judge(model, "importance_weights_sum_to_one")


@pytest.mark.parametrize(
    ("model", "check", "reason"),
    [
        (Transposed, "importance_weights_are_consistent", r"returns \(256, 16\) for k = 16"),
        (NotANumber, "importance_weights_are_consistent", "not finite"),
        (WorseWithMore, "importance_weights_are_consistent", "one log weight less the log mean of 16"),
        (MassAboveOne, "importance_weights_are_consistent", r"the bound of log P\(x\)"),
        (TwiceTheDensity, "importance_weights_integrate_to_one", r"integrate to (1\.9|2\.0)"),
        (HalfTheMass, "importance_weights_sum_to_one", r"sum to 0\.[45]"),
    ],
)
def test_spoilt_weights_are_told(model: Any, check: str, reason: str) -> None:
    with fails(reason):
        judge(model, check)
