"""Two processes train one model: the same weights on both, different data and noise, one update of the whole batch."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from everywhere import TRAINED, command
from small import names

from genzoo.checkpoint import load_checkpoint
from genzoo.cli import main
from genzoo.run import Run

pytestmark = pytest.mark.xdist_group("distributed")  # two processes are launched once
HERE = Path(__file__).parent
CPU = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


def launch(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    path = os.pathsep.join([str(HERE), *sys.path])
    done = subprocess.run(
        [*torchrun, str(HERE / "everywhere.py"), str(folder)],
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left behind."""
    folder = tmp_path_factory.mktemp("everywhere")
    (folder / "stdout.txt").write_text(launch(folder, **CPU).stdout)
    return folder


def states(folder: Path, model: str) -> list[dict[str, Any]]:
    """The last checkpoint of both processes."""
    return [load_checkpoint(folder / model / "checkpoint", rank) for rank in (0, 1)]


def outcomes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def flat(state: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([value.flatten() for value in state.values()])


@pytest.mark.parametrize("model", TRAINED)
def test_weights_averages_and_optimizers_are_the_same_everywhere(folder: Path, model: str) -> None:
    one, other = states(folder, model)
    assert one["step"] == other["step"] == 50 and one["processes"] == 2
    assert torch.equal(flat(one["model"]), flat(other["model"]))
    assert torch.equal(flat(one["ema"]), flat(other["ema"]))
    assert one["model"].keys() == other["model"].keys()


@pytest.mark.parametrize("model", TRAINED)
def test_noise_differs_between_processes(folder: Path, model: str) -> None:
    one, other = states(folder, model)
    assert not torch.equal(one["random"], other["random"])


def test_walks_belong_to_their_process(folder: Path) -> None:
    one, other = states(folder, "ebm")
    assert not torch.equal(one["trainer"]["x"], other["trainer"]["x"])


def test_a_deterministic_objective_takes_the_steps_of_one_process_with_the_whole_batch(
    folder: Path, tmp_path: Path
) -> None:
    assert main(command("realnvp", tmp_path, 32)) == 0
    alone = load_checkpoint(tmp_path / "realnvp" / "checkpoint", 0)
    together = states(folder, "realnvp")[0]
    assert together["drawn"] == alone["drawn"] == 50
    assert (flat(alone["model"]) - flat(together["model"])).abs().max() < 1e-5
    assert Run.open(folder / "realnvp").cost["flops"] == Run.open(tmp_path / "realnvp").cost["flops"] > 0


@pytest.mark.parametrize("model", TRAINED)
def test_one_process_writes_the_run(folder: Path, model: str) -> None:
    run = Run.open(folder / model)
    assert run.cost["images_seen"] >= 50 * 32
    assert names(folder / model / "checkpoint" / "50") == ["rank0.safetensors", "rank1.safetensors"]
    assert len((folder / model / "log.jsonl").read_text().splitlines()) == 50


def test_one_process_speaks(folder: Path) -> None:
    assert (folder / "stdout.txt").read_text().splitlines() == [str(folder / model) for model in TRAINED]


def test_a_batch_that_cannot_be_shared_out_is_refused_before_anything_is_written(folder: Path) -> None:
    assert [found["odd"] for found in outcomes(folder)] == [2, 2]
    assert not (folder / "odd").exists()


def test_a_loss_that_is_not_finite_in_one_process_stops_both(folder: Path) -> None:
    one, other = (found["exploded"] for found in outcomes(folder))
    assert one == other and one.startswith("loss 'squares' is nan, the norm of its gradient nan at step 3")


def test_a_signal_to_one_process_stops_both_at_the_same_step(folder: Path) -> None:
    one, other = (found["stopped"] for found in outcomes(folder))
    assert one == other and one.startswith("stopped at step 5, the last good checkpoint is of step 5")
    assert [state["step"] for state in states(folder, "stopped")] == [5, 5]


@pytest.mark.gpu
def test_weights_are_the_same_on_two_gpus(tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    launch(tmp_path)
    for model in TRAINED:
        one, other = states(tmp_path, model)
        assert torch.equal(flat(one["model"]), flat(other["model"]))
