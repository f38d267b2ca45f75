"""The loop, on gradient descent whose every step is known: x <- x - rate (x - mean of the batch)."""

import copy
import functools
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from accelerate import Accelerator
from mishaps import full_disk
from small import Point, Rows, Squares, config, names
from torch import Tensor, nn
from torch.optim import SGD

from genzoo import training
from genzoo.checkpoint import load_checkpoint, pack, read_tree, unpack, write_tree
from genzoo.errors import Interrupted, InvalidConfig, StorageError, TrainingFailed
from genzoo.protocols import Batch
from genzoo.training import Fit, Loop, Upkeep, check, fit

ROWS = Rows(torch.randn(10, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([3.0, -1.0]))
MEAN = ROWS.x.mean(0)
EVERY_STEP = Upkeep(checkpoint_seconds=0)


def train(
    trainer: Any | None = None, model: nn.Module | None = None, folder: Path | None = None, **changes: Any
) -> Fit:
    upkeep = changes.pop("upkeep", EVERY_STEP)
    return fit(model or Point(), trainer or Squares(), ROWS, config(**changes), folder, upkeep)


def at(step: int, action: Callable[[], object]) -> Callable[[int], object]:
    """Does it when the step of that number has begun."""
    return lambda number: action() if number == step else None


# What a step is


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


# Budgets


@pytest.mark.parametrize(
    ("budget", "steps", "images"), [("7steps", 7, 28), ("100img", 25, 100), ("98img", 25, 100), ("1img", 1, 4)]
)
def test_a_budget_is_spent_to_the_step(budget: str, steps: int, images: int) -> None:
    done = train(budget=budget)
    assert (done.steps, done.images_seen) == (steps, images)


def test_a_budget_of_seconds_ends_with_the_step_that_passes_it() -> None:
    done = train(budget="0.2s")
    assert 0.2 <= done.seconds < 2 and done.steps > 1


def test_the_cost_is_told() -> None:
    done = train()
    assert done.precision == "float32" and done.seconds > 0
    assert done.peak_memory_mb is None or 50 < done.peak_memory_mb < 100_000
    assert done.parameters == {"total": 2, "training": 2}


class Line(Squares):
    """A regression by one product of matrices: batch [4, 2] by weight [2, 2]."""

    def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        for name, _ in super().losses(model, batches):
            yield name, (nn.functional.linear(next(batches).x, model.weight) ** 2).mean()


class Plane(Point):
    """A point and a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(2))


FORWARD_AND_BACKWARD = 2 * (2 * 4 * 2 * 2)


def test_operations_of_every_step_are_in_the_cost() -> None:
    assert train(Line(), Plane(), budget="7steps").flops == 7 * FORWARD_AND_BACKWARD
    assert train(budget="7steps").flops == 0  # number by number


def test_operations_before_an_interruption_are_in_the_cost(tmp_path: Path) -> None:
    stopping = Line(before=at(4, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(Interrupted):
        train(stopping, Plane(), folder=tmp_path, budget="7steps")
    resumed = train(Line(), Plane(), folder=tmp_path, budget="7steps", upkeep=Upkeep(resume=True))
    assert resumed.flops == 7 * FORWARD_AND_BACKWARD


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


# Checkpoints and stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_from_which_it_goes_on_exactly(tmp_path: Path, number: signal.Signals) -> None:
    wanted = train(budget="9steps", ema=0.3)
    handler = signal.getsignal(number)
    stopping = Squares(before=at(4, lambda: os.kill(os.getpid(), number)))
    with pytest.raises(
        Interrupted, match="stopped at step 4, the last good checkpoint is of step 4: run the same"
    ) as e:
        train(stopping, folder=tmp_path, budget="9steps", ema=0.3, upkeep=Upkeep())
    assert e.value.status == 1 and signal.getsignal(number) is handler
    resumed = train(folder=tmp_path, budget="9steps", ema=0.3, upkeep=Upkeep(resume=True))
    assert torch.equal(resumed.model.at, wanted.model.at)
    assert (resumed.steps, resumed.images_seen) == (9, 36) and resumed.seconds > 0


def test_a_signal_without_a_folder_says_that_there_is_no_checkpoint() -> None:
    with pytest.raises(Interrupted, match="stopped at step 4, there is no checkpoint"):
        train(Squares(before=at(4, lambda: os.kill(os.getpid(), signal.SIGTERM))))


def test_what_trainers_and_dropout_depend_on_is_resumed_exactly(tmp_path: Path) -> None:
    class Remembering(Squares):
        """Pulls towards a running mean that is its own state, by noise."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.mean, self.net = torch.zeros(2), nn.Linear(2, 2)

        def networks(self) -> nn.Module:
            return self.net

        def losses(self, model: Any, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
            for name, loss in super().losses(model, batches):
                self.mean = 0.9 * self.mean + 0.1 * nn.functional.dropout(model.at.detach())
                yield name, loss + ((self.net(self.mean) - model.at) ** 2).sum()

        def state_dict(self) -> dict[str, Tensor]:
            return {"mean": self.mean}

        def load_state_dict(self, state: dict[str, Tensor]) -> None:
            self.mean = state["mean"]

    def start(**options: Any) -> Remembering:
        torch.manual_seed(0)
        return Remembering(**options)

    wanted = train(start(), budget="9steps")
    with pytest.raises(KeyError):
        train(start(before=at(5, {}.popitem)), folder=tmp_path, budget="9steps")
    torch.manual_seed(1)
    resumed = train(Remembering(), folder=tmp_path, budget="9steps", upkeep=Upkeep(resume=True))
    assert torch.equal(resumed.model.at, wanted.model.at)


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


def test_checkpoints_come_at_their_interval_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(training, "save_checkpoint", lambda folder, tree, step, *rest: saved.append(step))
    train(folder=tmp_path / "often", budget="3steps", upkeep=Upkeep(checkpoint_seconds=0))
    assert saved == [1, 2, 3, 3]
    saved.clear()
    train(folder=tmp_path / "once", budget="3steps", upkeep=Upkeep(checkpoint_seconds=1000))
    assert saved == [3]


def test_resuming_what_is_finished_trains_no_further(tmp_path: Path) -> None:
    done = train(folder=tmp_path)
    again = train(Squares(before=at(1, {}.popitem)), folder=tmp_path, upkeep=Upkeep(resume=True))
    assert torch.equal(again.model.at, done.model.at) and again.steps == done.steps


def test_resuming_where_there_is_no_checkpoint_begins(tmp_path: Path) -> None:
    assert torch.equal(train(folder=tmp_path, upkeep=Upkeep(resume=True)).model.at, train().model.at)


def test_a_checkpoint_of_other_processes_is_refused(tmp_path: Path) -> None:
    train(folder=tmp_path)
    part = tmp_path / "checkpoint" / "20" / "rank0.safetensors"
    write_tree(part, {**read_tree(part), "processes": 4})
    with pytest.raises(InvalidConfig, match="the checkpoint was written by 4 processes: resume with as many"):
        train(folder=tmp_path, upkeep=Upkeep(resume=True))


def test_nothing_is_written_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train()
    assert names(tmp_path) == []


# Failures


class Exploding(Squares):
    """Its loss, or only the gradient of its loss, is not finite at step 4."""

    def __init__(self, gradient_only: bool) -> None:
        super().__init__()
        self.gradient_only = gradient_only

    def losses(self, model: Point, batches: Iterator[Batch]) -> Iterator[tuple[str, Tensor]]:
        for name, loss in super().losses(model, batches):
            bad = (model.at - model.at).sum().abs().sqrt() if self.gradient_only else loss * math.inf
            yield name, loss + bad if len(self.rates) == 4 else loss


@pytest.mark.parametrize(
    ("gradient_only", "told"),
    [
        (False, r"loss 'squares' is inf, the norm of its gradient nan at step 4; "),
        (True, r"loss 'squares' is \d+\.\d+, the norm of its gradient nan at step 4; "),
    ],
)
def test_what_is_not_finite_stops_before_it_does_harm(tmp_path: Path, gradient_only: bool, told: str) -> None:
    model = Point()
    with pytest.raises(TrainingFailed, match=told + "the last good checkpoint is of step 3: try a lower") as caught:
        train(Exploding(gradient_only), model, folder=tmp_path)
    assert caught.value.status == 1 and "\n" not in str(caught.value)
    good = load_checkpoint(tmp_path / "checkpoint", 0)
    assert torch.equal(good["model"]["at"], model.at) and model.at.isfinite().all()


def test_a_failure_before_any_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="at step 4; there is no checkpoint: try a lower learning rate"):
        train(Exploding(False), folder=tmp_path, upkeep=Upkeep())


def test_a_full_disk_stops_with_the_last_checkpoint_whole(tmp_path: Path) -> None:
    disk = full_disk(2000)
    with pytest.raises(StorageError, match=r"cannot write .*rank0\.safetensors"):
        try:
            train(Squares(before=at(4, disk.__enter__)), folder=tmp_path)
        finally:
            disk.__exit__(None, None, None)
    assert load_checkpoint(tmp_path / "checkpoint", 0)["step"] == 3
    resumed = train(folder=tmp_path, upkeep=Upkeep(resume=True))
    assert torch.equal(resumed.model.at, train().model.at)


@pytest.mark.parametrize(
    ("processes", "changes", "told"),
    [
        (3, {}, "batch_size 4 is not a multiple of 3 processes"),
        (1, {"precision": "bf16"}, "precision bf16 is too coarse for this trainer or for points"),
    ],
)
def test_what_this_machine_cannot_train_is_refused_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int, changes: dict[str, Any], told: str
) -> None:
    state = SimpleNamespace(num_processes=processes, device=torch.device("cpu"))
    monkeypatch.setattr(training, "this_process", lambda: state)
    with pytest.raises(InvalidConfig, match=told):
        check(Point(), Squares(), config(**changes))
    with pytest.raises(InvalidConfig, match=told):
        train(folder=tmp_path, **changes)
    assert names(tmp_path) == []


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
