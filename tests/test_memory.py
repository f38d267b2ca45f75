"""The most memory in use at once since a moment: what was freed before it does not count, what is freed later does."""

from pathlib import Path

import pytest
import torch

from genzoo import memory
from genzoo.memory import PeakMemory

CPU = torch.device("cpu")


def use(megabytes: int) -> None:
    """Hold as much, for a moment."""
    torch.ones(megabytes, 250_000)


def test_what_was_held_for_a_moment_is_measured() -> None:
    peak = PeakMemory(CPU)
    before = peak.megabytes()
    if before is None:
        pytest.skip("only Linux tells")
    use(120)
    assert peak.megabytes() == pytest.approx(before + 120, abs=30)
    assert PeakMemory(CPU).megabytes() == pytest.approx(before, abs=30)


def test_what_is_held_all_the_time_is_included() -> None:
    held = torch.ones(120, 250_000)
    with_it = PeakMemory(CPU).megabytes()
    if with_it is None:
        pytest.skip("only Linux tells")
    del held
    without = PeakMemory(CPU).megabytes()
    assert without is not None and with_it - without == pytest.approx(120, abs=30)
    assert 100 < without < 100_000


def test_where_nobody_can_tell_it_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_RESET", tmp_path / "none" / "clear_refs")
    assert PeakMemory(CPU).megabytes() is None


@pytest.mark.gpu
def test_on_a_gpu_it_is_what_tensors_occupy() -> None:
    device = torch.device("cuda")
    torch.ones(10, 250_000, device=device)
    peak = PeakMemory(device)
    held = torch.ones(4, 250_000, device=device)
    assert peak.megabytes() == pytest.approx(4, abs=0.1)
    del held
