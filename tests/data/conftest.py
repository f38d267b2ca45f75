"""A cache of its own for every test, and the small data sets they are written with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GENZOO_CACHE", str(folder))
    monkeypatch.delenv("GENZOO_DATA", raising=False)
    return folder


@pytest.fixture(autouse=True)
def no_bars() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def save_images() -> Callable[..., np.ndarray]:
    """Write n noise pictures, ``shape`` = (n, h, w) or (n, h, w, 3), into a folder as PNG; returns them."""

    def save(folder: Path, *shape: int, seed: int = 0) -> np.ndarray:
        pictures = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / f"{i:03}.png")
        return pictures

    return save
