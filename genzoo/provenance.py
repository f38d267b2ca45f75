"""What a number depends on besides model and data: this code and this machine."""

import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path

import torch

import genzoo
from genzoo.evaluation.record import Code, Environment


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
        cpu=_cpu(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        threads=torch.get_num_threads(),
        precision=precision,
    )


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
