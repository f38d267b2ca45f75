"""Whether processes of ``torchrun`` join on the processor or on GPUs."""

from types import SimpleNamespace

import pytest
import torch

from genzoo import processes
from genzoo.processes import anywhere, of_all, this_process


@pytest.mark.parametrize(
    ("environment", "gpu", "mps", "on_processor"),
    [
        ({}, False, False, False),  # alone, Accelerate finds the best device by itself
        ({}, True, False, False),
        ({}, True, True, False),
        ({"LOCAL_RANK": "1"}, False, False, True),
        ({"LOCAL_RANK": "1"}, True, False, False),
        ({"LOCAL_RANK": "1"}, True, True, True),  # Apple's GPU cannot be shared
        ({"LOCAL_RANK": "1", "ACCELERATE_USE_CPU": "true"}, True, False, True),
        ({"ACCELERATE_USE_CPU": "true"}, True, False, True),
    ],
)
def test_processes_join_on_the_processor_where_there_is_no_gpu_to_share(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], gpu: bool, mps: bool, on_processor: bool
) -> None:
    for name in ("LOCAL_RANK", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(processes, "PartialState", lambda cpu: SimpleNamespace(cpu=cpu))
    assert this_process().cpu is on_processor


def test_alone_there_is_nobody_to_ask() -> None:
    x = torch.randn(3, 2)
    assert anywhere(True) and not anywhere(False) and torch.equal(of_all(x), x)


def test_alone_there_is_one_process() -> None:
    assert (this_process().num_processes, this_process().process_index) == (1, 0)
    assert this_process().is_main_process
