"""The same images through three packages: the numbers are the same."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "side_by_side.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_three_packages_agree(script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch-fidelity averages features in float32: hence 1e-4, and 2e-3 of a kernel distance near zero."""
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path))
    fake, real = script["images"](None, None)
    lines = {line.metric: line for line in script["side_by_side"](fake[:150], real[:150], "cnn8")}
    assert set(lines) == {*script["FIDELITY"], *script["PRDC"]}
    limits = {"fd": 1e-4, "kid": 2e-3}
    assert {name: line for name, line in lines.items() if line.difference > limits.get(name, 1e-6)} == {}


def test_sets_are_cut_to_one_size(script: dict[str, Any], tmp_path: Path) -> None:
    for name, n in (("a", 9), ("b", 7)):
        np.savez(tmp_path / f"{name}.npz", arr_0=np.full((n, 4, 4, 3), 200, np.uint8))
    fake, real = script["images"](tmp_path / "a.npz", tmp_path / "b.npz")
    assert fake.shape == real.shape == (7, 4, 4, 3)


def test_the_generated_set_is_the_first_input_and_no_cache_and_no_gpu_is_used(script: dict[str, Any]) -> None:
    command = script["fidelity_command"]("cnn8", 150)
    assert command[command.index("--input1") + 1] == "generated"
    assert {"--no-cache", "--cpu"} <= set(command)
    assert command[command.index("--kid-subset-size") + 1] == "150"
