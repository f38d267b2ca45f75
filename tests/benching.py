"""What tests of whole suites share: when files were written, and the line with which a suite is refused."""

from pathlib import Path
from typing import Any

import pytest

from genzoo.benchmark import bench
from genzoo.errors import GenZooError


def stamps(folder: Path, suffix: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob(f"*{suffix}")}


def refused(kind: type[GenZooError], suite: Path, out: Path, *arguments: Any) -> str:
    with pytest.raises(kind) as caught:
        bench(suite, out, *arguments, progress=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)
