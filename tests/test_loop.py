"""What a step of the loop is, on gradient descent whose every step is known, and what its state brings back."""

import copy
import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from accelerate import Accelerator
from descent import MEAN, train
from small import Point, Rows, Squares, config
from torch import Tensor, nn
from torch.optim import SGD

from genzoo.checkpoint import load_checkpoint, pack, unpack
from genzoo.loop import Loop
from genzoo.protocols import Batch


def test_it_learns() -> None:
    assert torch.allclose(train(Squares(lr=0.5), budget="400steps", batch_size=10).model.at, MEAN, atol=1e-3)


def test_one_step_is_the_update_by_hand() -> None:
    done = train(Squares(lr=0.1), budget="1steps", batch_size=10)
    assert torch.allclose(done.model.at, 0.1 * MEAN)


@pytest.mark.parametrize(("clip", "length"), [(0, None), (0.01, 0.01), (1e9, None)])
def test_gradients_are_clipped_to_a_length(clip: float, length: float | None) -> None:
    moved = train(Squares(lr=0.1), budget="1steps", batch_size=10, clip=clip).model.at.norm().item()
    assert moved == pytest.approx(0.1 * (length or MEAN.norm().item()), rel=1e-3)


def test_rates_rise_over_the_warm_up_and_fall_as_a_cosine() -> None:
    trainer = Squares(lr=0.2)
    train(trainer, budget="100steps", warmup=0.1)
    for step, rate in enumerate(trainer.rates):
        warm = min(1.0, (step / 100 + 1e-3) / 0.1)
        assert rate == pytest.approx(0.2 * warm * 0.5 * (1 + math.cos(math.pi * step / 100)))
    assert max(trainer.rates) < 0.2 and trainer.rates[-1] < 1e-3


def test_every_optimizer_has_a_rate_of_its_own_and_takes_its_own_losses() -> None:
    class Duel(Squares):
        """Pulls two batches: one for each coordinate."""

        def optimizers(self, model: Any) -> dict[str, torch.optim.Optimizer]:
            return {"left": SGD([model.left], lr=0.1), "right": SGD([model.right], lr=0.3)}

        def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
            for name, weight in (("left", model.left), ("right", model.right)):
                yield name, 0.5 * ((next(batches).x.mean(0) - weight) ** 2).sum()

    model = nn.Module()
    model.left, model.right = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    done = train(Duel(), model, budget="1steps", batch_size=10)
    assert torch.allclose(done.model.left, 0.1 * MEAN) and torch.allclose(done.model.right, 0.3 * MEAN)
    assert done.steps == 1 and done.images_seen == 20


def test_the_result_is_the_average_of_the_weights() -> None:
    seen: list[Tensor] = []
    model = Point()
    trainer = Squares(before=lambda step: seen.append(model.at.detach().clone()))
    done = train(trainer, model, budget="5steps", ema=1.0)
    assert torch.allclose(done.model.at, torch.stack([*seen[1:], model.at.detach()]).mean(0), atol=1e-6)


def test_data_dependent_initialisation_sees_a_whole_batch_once() -> None:
    class FromData(Squares):
        def initialize(self, model: Point, batch: Batch) -> None:
            model.at.data.copy_(batch.x.mean(0))

    assert torch.allclose(train(FromData(lr=0.0), batch_size=10).model.at, MEAN)


def test_auxiliary_networks_are_trained_saved_and_counted(tmp_path: Path) -> None:
    class Assisted(Squares):
        def __init__(self) -> None:
            super().__init__()
            self.helper = nn.Linear(2, 3)

        def networks(self) -> nn.Module:
            return self.helper

    done = train(Assisted(), folder=tmp_path)
    assert done.parameters == {"total": 2, "training": 2 + 9}
    assert set(load_checkpoint(tmp_path / "checkpoint", 0)["networks"]) == {"weight", "bias"}


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_losses_are_computed_in_the_precision_and_weights_are_kept_in_float32(
    precision: str, dtype: torch.dtype
) -> None:
    class Net(nn.Linear):
        shape = (1, 1, 2)

    class Regression(Squares):
        low_precision = True

        def optimizers(self, model: Any) -> dict[str, torch.optim.Optimizer]:
            return {"net": SGD(model.parameters(), lr=0.1)}

        def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
            out = model(next(batches).x)
            seen.append(out.dtype)
            yield "net", out.float().square().mean()

    seen: list[torch.dtype] = []
    done = train(Regression(), Net(2, 1), precision=precision, budget="2steps")
    assert seen == [dtype, dtype] and done.precision == precision
    assert done.model.weight.dtype is torch.float32


# Seeds


def test_equal_seeds_give_equal_weights_and_others_others() -> None:
    class Noisy(Squares):
        def losses(self, model: Point, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
            for name, loss in super().losses(model, batches):
                yield name, loss + (model.at * torch.randn(2)).sum()

    torch.manual_seed(5)
    first = train(Noisy(), seed=1).model.at
    torch.manual_seed(6)
    assert torch.equal(train(Noisy(), seed=1).model.at, first)
    assert not torch.equal(train(Noisy(), seed=2).model.at, first)


# Going on from a state


class Kernel(nn.Module):
    """One convolution, whose kernel the host lays out with its channels side by side."""

    shape, trainer, sampler = (2, 4, 4), "kernel", "none"

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)


class FusedAdam:
    """Adam in one pass over memory, which is wrong where a moment lies otherwise than its parameter."""

    def __init__(self, fused: bool) -> None:
        self.fused = fused

    needs: ClassVar[tuple[type, ...]] = ()

    def optimizers(self, model: Kernel) -> dict[str, torch.optim.Optimizer]:
        return {"kernel": torch.optim.Adam(model.parameters(), lr=0.1, fused=self.fused)}

    def losses(self, model: Kernel, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        yield "kernel", model.conv(next(batches).x).square().mean()


@pytest.mark.parametrize("after", [0, 2])
def test_fused_optimizers_agree_with_plain_ones_also_where_training_goes_on(after: int) -> None:
    torch.manual_seed(0)
    rows, start = Rows(torch.randn(40, 2, 4, 4)), Kernel()
    loops = []
    for fused in (False, True):
        make = functools.partial(
            Loop, trainer=FusedAdam(fused), examples=rows, config=config(), accelerator=Accelerator()
        )
        loop = make(copy.deepcopy(start))
        for _ in range(after):
            loop.take_step(0.0)
        other = make(copy.deepcopy(start))
        other.load(unpacked(loop.state()))
        other.take_step(0.0)
        loops.append(other)
    plain, fused = (loop.model.conv.weight for loop in loops)
    assert fused.is_contiguous(memory_format=torch.channels_last) and not torch.allclose(plain, start.conv.weight)
    assert torch.allclose(plain, fused, atol=1e-6)


def unpacked(state: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from a checkpoint."""
    tensors: dict[str, Tensor] = {}
    return unpack(pack(state, tensors), tensors.__getitem__)
