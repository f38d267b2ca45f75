"""The most memory that a computation needed."""

from pathlib import Path

import torch

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """The most memory in use at once since it was made, everything that was held already included.

    On a GPU that is what its tensors occupy; on a CPU what the whole process does (resident: Python and libraries take
    half a gigabyte), which only Linux can tell of a part of a process.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._measured = device, True
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            _RESET.write_text("5")  # the kernel's documented way to forget the peak
        except OSError:
            self._measured = False

    def megabytes(self) -> float | None:
        """So far, in units of 10^6 bytes; None where it cannot be measured."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 1e6
        return _resident_peak() if self._measured else None


def _resident_peak() -> float:
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
