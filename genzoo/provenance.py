"""What a number depends on besides model and data: this code and this machine."""

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

import genzoo
from genzoo.evaluation.parts import Code, Environment
from genzoo.evaluation.record import Record


def version() -> str:
    """Of genzoo."""
    return str(genzoo.__version__)


@cache
def code() -> Code:
    """The version, and the commit where this is a checkout."""
    root = Path(__file__).parent.parent
    if not (root / ".git").exists():
        return Code(version=version(), git=None)
    command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return Code(version=version(), git=None)
    return Code(version=version(), git=done.stdout.strip())


def environment(precision: str) -> Environment:
    """The machine and the libraries that a number depends on."""
    return Environment(
        python=platform.python_version(),
        torch=torch.__version__,
        diffusers=_installed("diffusers"),
        precision=precision,
        **machine(),
    )


def machine() -> dict[str, Any]:
    """What seconds and megabytes depend on: ``cpu``, ``gpu`` and ``threads`` of this process."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": _cpu(), "gpu": gpu, "threads": torch.get_num_threads()}


def sampled_on(record: Record) -> str:
    """The machine that drew and evaluated."""
    return _named(record.environment.gpu or record.environment.cpu, record.environment.threads)


def trained_on(record: Record) -> str:
    """The machine that trained; that of the evaluation where the training did not note its own."""
    training = record.training
    if training is None or training.cpu is None or training.threads is None:
        return sampled_on(record)
    return _named(training.gpu or training.cpu, training.threads)


def _named(processor: str, threads: int) -> str:
    return f"{processor}, {threads} thread{'s' if threads != 1 else ''}"


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
