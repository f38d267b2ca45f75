"""kill -9 in the middle of a training step, then ``--resume``: the weights of the uninterrupted run, bit for bit."""

from pathlib import Path

import pytest
import torch
from mishaps import killed, train_until_killed
from safetensors.torch import load_file
from small import FAMILIES, family, job

from genzoo.checkpoint import load_checkpoint
from genzoo.cli import main
from genzoo.errors import RunError
from genzoo.jobs import WEIGHTS, execute
from genzoo.run import Run
from genzoo.training import Upkeep

pytestmark = pytest.mark.xdist_group("resume")  # the server that forks processes imports torch once


@pytest.mark.parametrize("data", ["8gaussians", "digits"])
@pytest.mark.parametrize("model", FAMILIES)
def test_a_killed_training_goes_on_exactly(model: str, data: str, tmp_path: Path) -> None:
    config = family(model, data=data, budget="9steps")
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    execute(job(config), straight)
    assert killed(train_until_killed, config, broken, 6)
    assert load_checkpoint(broken / "checkpoint", 0)["step"] == 5
    with pytest.raises(RunError, match="half written"):
        Run.open(broken)
    execute(job(config), broken, Upkeep(resume=True))
    wanted, found = load_file(straight / WEIGHTS), load_file(broken / WEIGHTS)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())
    ends = [load_checkpoint(folder / "checkpoint", 0) for folder in (straight, broken)]
    assert torch.equal(ends[0]["random"], ends[1]["random"])
    assert all(torch.equal(ends[0]["model"][name], value) for name, value in ends[1]["model"].items())
    costs = [Run.open(folder).cost for folder in (straight, broken)]
    assert costs[1]["steps"] == 9 and costs[0]["flops"] == costs[1]["flops"] > 0


def test_the_command_line_goes_on_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = family("vae", budget="4steps", model_options={"width": 8})
    assert killed(train_until_killed, config, tmp_path, 3)
    words = ["train", "vae", "--data", "8gaussians", "--budget", "4steps", "--set", "width=8", "--set", "batch_size=16"]
    assert main([*words, "--out", str(tmp_path)]) == 2
    assert "already holds a run: add --resume to go on with it" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path), "--resume"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"
    assert Run.open(tmp_path).cost["steps"] == 4
