"""What tests of assessments score: digits, the same on disk, noise, and a run that is hardly trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small import family
from torch import Tensor

from genzoo.data import load
from genzoo.run import Run, start

DIGITS = load("digits")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A VAE of the digits, hardly trained."""
    config = family("vae", data="digits", budget="5steps")
    return start(config, tmp_path_factory.mktemp("runs") / "images", progress=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same 60 digits as ``samples.npz`` and as a folder of pictures."""
    top, x = tmp_path_factory.mktemp("kept"), digits(60)
    np.savez(top / "samples.npz", arr_0=x.numpy())
    (top / "pictures").mkdir()
    for i, picture in enumerate(x.numpy()):
        Image.fromarray(picture[..., 0]).save(top / "pictures" / f"{i:02}.png")
    return top


def digits(n: int) -> Tensor:
    return DIGITS.train.images(torch.arange(n))


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
