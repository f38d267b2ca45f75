"""This process among those that ``torchrun`` started; a trainer of a plugin may ask what the others have found."""

import os

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather, parse_flag_from_env, reduce
from torch import Tensor, nn


def this_process() -> PartialState:
    """Its rank, the number of processes, its device and their barrier; the first call joins them.

    Processors work together as GPUs do: without saying so, Accelerate leaves each process of ``torchrun`` to itself
    where there is no GPU, and both would train the same run.
    """
    without_gpu = not torch.accelerator.is_available() or torch.backends.mps.is_available()
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or ("LOCAL_RANK" in os.environ and without_gpu))


def anywhere(said: bool) -> bool:
    """Whether any process says so: all ask at once, and hear the same."""
    process = this_process()
    if process.num_processes == 1:
        return said
    return bool(reduce(torch.tensor(float(said), device=process.device), reduction="sum"))


def of_all(x: Tensor) -> Tensor:
    """The rows x [n, ...] of one process after the other: all ask at once, with as many rows each."""
    return gather(x) if this_process().num_processes > 1 else x


@torch.no_grad()
def follow_the_first(model: nn.Module) -> None:
    """Give every process the numbers of the first process's model: all ask at once."""
    if this_process().num_processes > 1:
        for tensor in filter(Tensor.is_floating_point, model.state_dict().values()):
            broadcast(tensor, from_process=0)
