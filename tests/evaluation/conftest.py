"""Feature sets and pictures that several tests use, and a guard against the network."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from offline import no_network
from torch import Tensor

import genzoo
from genzoo.images import to_uint8

__all__ = ["no_network"]


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor, Tensor]:
    """uint8 training and test images [n, 8, 8, 1] of the package, and the test labels."""
    table = pq.read_table(Path(genzoo.__file__).parent / "data" / "digits.parquet").to_pydict()
    images = to_uint8(torch.tensor(table["image"], dtype=torch.uint8).reshape(-1, 8, 8, 1), 17)
    is_train = torch.tensor([split == "train" for split in table["split"]])
    return images[is_train], images[~is_train], torch.tensor(table["label"])[~is_train]
