"""From images to features, once for each image set: eval mode, float32, no autocast, fixed batches."""

import hashlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.extractors import Extractor, Shape

Cache = MutableMapping[tuple[str, str], Tensor]


def content_hash(x: Tensor) -> str:
    """sha256 of a tensor's type, shape and bytes."""
    x = x.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{x.dtype} {tuple(x.shape)}\0".encode())
    digest.update(x.numpy().data)
    return digest.hexdigest()


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, and no TF32 or bfloat16 inside float32 products, whatever the training left switched on."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def check_images(images: Tensor) -> Shape:
    """(channels, height, width); raises :class:`InvalidSamples` unless these are uint8 [n, h, w, c]."""
    if images.dtype != torch.uint8:
        kind = str(images.dtype).removeprefix("torch.")
        raise InvalidSamples(f"images are {kind}, not uint8: quantise them first (0..255, half rounds up)")
    if images.dim() != 4:
        raise InvalidSamples(f"images have shape {tuple(images.shape)}; they must be [n, height, width, channels]")
    _, height, width, channels = images.shape
    return channels, height, width


def extract(images: Tensor, extractor: Extractor, *, device: torch.device | None = None) -> Tensor:
    """Features [n, d], float32 on the CPU, of uint8 images [n, h, w, c].

    Raises:
        InvalidSamples: images of another type, or of a size that this extractor does not take.
    """
    extractor.check_shape(check_images(images))
    device = device or torch.device("cpu")
    network = extractor.network.to(device).eval()
    with _full_precision(device):
        parts = [network(part.permute(0, 3, 1, 2).to(device)) for part in images.split(extractor.batch_size)]
    return torch.cat(parts).float().cpu()


def extract_cached(images: Tensor, extractor: Extractor, cache: Cache, *, device: torch.device | None = None) -> Tensor:
    """:func:`extract`, kept in ``cache`` under the hashes of the images' content and of who looks at it."""
    check_images(images)
    key = (content_hash(images), extractor.key)
    try:
        return cache[key]
    except KeyError:
        features = cache[key] = extract(images, extractor, device=device)
        return features
