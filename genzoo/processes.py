"""This process among those that ``torchrun`` started."""

import os

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env


def this_process() -> PartialState:
    """Its rank, the number of processes, its device and their barrier; the first call joins them.

    Processors work together as GPUs do: without saying so, Accelerate leaves each process of ``torchrun`` to itself
    where there is no GPU, and both would train the same run.
    """
    without_gpu = not torch.accelerator.is_available() or torch.backends.mps.is_available()
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or ("LOCAL_RANK" in os.environ and without_gpu))
