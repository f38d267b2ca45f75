"""Stand-ins for tests of pretrained extractors: pictures, weights, and hashes that vouch for them."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genzoo.evaluation.extractors.pretrained import FILES
from genzoo.evaluation.extractors.vision_transformer import VisionTransformer


def pictures(channels: int = 3) -> Tensor:
    """uint8 [3, 20, 20, c]."""
    return torch.randint(256, (3, 20, 20, channels), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch keeps nothing here, and nothing is named in the environment."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GENZOO_EXTRACTOR_WEIGHTS", raising=False)


Vouch = Callable[[str, Path], Path]


@pytest.fixture
def vouch(monkeypatch: pytest.MonkeyPatch) -> Vouch:
    """Make the hash of a stand-in the one that is known."""

    def vouch(name: str, path: Path) -> Path:
        known = replace(FILES[name], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        monkeypatch.setitem(FILES, name, known)
        return path

    return vouch


def small_vision_transformer() -> VisionTransformer:
    """Three blocks of width 128, random, learned positions on a grid of 7x7 patches of 14."""
    torch.manual_seed(0)
    network = VisionTransformer(128, 3, 14, 7).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(0, 0.1)
    return network
