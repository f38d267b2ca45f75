"""What a training spends, keeps and refuses, on gradient descent whose every step is known."""

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from descent import at, train
from mishaps import full_disk
from small import Point, Squares, config, names
from torch import Tensor, nn

from genzoo import training
from genzoo.checkpoint import load_checkpoint, read_tree, write_tree
from genzoo.errors import Interrupted, InvalidConfig, StorageError, TrainingFailed
from genzoo.protocols import Batch
from genzoo.training import Upkeep, check

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
