"""Make the weights of the built-in feature extractors: ``python benchmarks/train_extractors.py [NAME ...]``.

Written to genzoo/evaluation/weights/. Fashion-MNIST is the four IDX files (``--fashion-mnist FOLDER``), the digits
from the package. Only the training splits are learned from; the accuracy on the test split is printed. The random
networks learn nothing: the scale of rand32 is set on random pictures with the spectrum of natural ones.
"""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from genzoo.evaluation.networks import BUILT_IN, RandomConvolutions
from genzoo.images import to_uint8

ROOT = Path(__file__).parents[1] / "genzoo"
Labelled = tuple[Tensor, Tensor]  # uint8 [n, 1, h, w], int64 [n]


def read_idx(path: Path) -> Tensor:
    """A gzipped IDX file of bytes: two zeros, type 8, the number of dimensions, big-endian sizes, the data."""
    raw = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return torch.from_numpy(np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape.astype(int)).copy())


def fashion_mnist(folder: Path) -> tuple[Labelled, Labelled]:
    """The training and the test split."""

    def split(part: str) -> Labelled:
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
        return images[:, None], read_idx(folder / f"{part}-labels-idx1-ubyte.gz").long()

    return split("train"), split("t10k")


def digits(path: Path) -> tuple[Labelled, Labelled]:
    """The training and the test split, their 17 levels spread over 0..255 as every extractor sees them."""
    table = pq.read_table(path).to_pydict()
    levels = torch.tensor(table["image"], dtype=torch.uint8).reshape(-1, 1, 8, 8)
    labels, is_train = torch.tensor(table["label"]), torch.tensor([split == "train" for split in table["split"]])
    images = to_uint8(levels, 17)
    return (images[is_train], labels[is_train]), (images[~is_train], labels[~is_train])


def augment(images: Tensor, shift: int, flip: bool) -> Tensor:
    """Shift the batch by up to ``shift`` pixels either way; mirror half of it."""
    size = images.shape[-1]
    top, left = torch.randint(0, 2 * shift + 1, (2,)).tolist()
    moved = F.pad(images, (shift,) * 4)[..., top : top + size, left : left + size]
    mirrored = torch.rand(len(images), 1, 1, 1) < (0.5 if flip else 0)
    return torch.where(mirrored, moved.flip(-1), moved)


def train(net: nn.Module, data: Labelled, epochs: int, batch_size: int, flip: bool) -> None:
    """Cross-entropy by SGD with momentum under one cycle of the learning rate."""
    images, labels = data
    steps = len(images) // batch_size
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, epochs * steps)
    for epoch in range(epochs):
        begun, total = time.perf_counter(), 0.0
        for rows in torch.randperm(len(images))[: steps * batch_size].split(batch_size):
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(augment(images[rows], 1 if images.shape[-1] < 16 else 2, flip))
            loss = F.cross_entropy(logits.float(), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{epochs}: loss {total / steps:.4f}, {time.perf_counter() - begun:.1f} s", flush=True)


@torch.inference_mode()
def accuracy(net: nn.Module, data: Labelled) -> float:
    """The share of the split that the classifier gets right, in float32."""
    right = [(net(x).argmax(1) == y).sum() for x, y in zip(data[0].split(500), data[1].split(500), strict=True)]
    return float(sum(right)) / len(data[1])


def natural_spectrum(n: int, size: int, generator: torch.Generator) -> Tensor:
    """Random pictures whose amplitudes fall as 1 / f, uint8 [n, 3, size, size]; half of a channel is brightness.

    Reference: Relations between the Statistics of Natural Images and the Response Properties of Cortical Cells
    (Field, 1987).
    """
    frequency = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)).clamp(min=1 / size)

    def field(num_channels: int) -> Tensor:
        white = torch.randn(n, num_channels, size, size, generator=generator)
        field = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(size, size))
        return field / field.std()

    contrast = 40 * torch.exp(0.5 * torch.randn(n, 1, 1, 1, generator=generator))
    level = 120 + 40 * torch.randn(n, 1, 1, 1, generator=generator)
    return (level + contrast * (field(1) + field(3)) / 2**0.5).clamp(0, 255).round().to(torch.uint8)


def make(name: str, fashion_folder: Path) -> nn.Module:
    """The network ``name``, trained (or drawn) from a fixed seed."""
    torch.manual_seed(0)
    net = BUILT_IN[name]()
    if isinstance(net, RandomConvolutions):
        generator = torch.Generator().manual_seed(0)
        net.initialise(generator)
        if name == "rand32":
            net.standardise(natural_spectrum(10_000, 32, generator))
        return net
    clothes = name == "cnn28"
    data, test = fashion_mnist(fashion_folder) if clothes else digits(ROOT / "data" / "digits.parquet")
    epochs, batch_size = (8, 128) if clothes else (60, 64)
    train(net.to(memory_format=torch.channels_last).train(), data, epochs, batch_size, flip=clothes)
    net.eval().standardise(data[0])
    print(f"{name}: test accuracy {accuracy(net, test):.4f}, training accuracy {accuracy(net, data):.4f}")
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(BUILT_IN))
    parser.add_argument("--fashion-mnist", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    arguments = parser.parse_args()
    for name in arguments.names:
        net = make(name, arguments.fashion_mnist)
        path = ROOT / "evaluation" / "weights" / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in net.state_dict().items() if value.dim()}, path)
        path.chmod(0o644)


if __name__ == "__main__":
    main()
