"""Extraction: once, in float32, in fixed batches, whatever the surroundings."""

import pytest
import torch
from torch import Tensor

from genzoo.errors import InvalidSamples
from genzoo.evaluation.extractors import load_extractor
from genzoo.evaluation.features import content_hash, extract, extract_cached


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("name", "shape", "num_features"),
    [("cnn8", (8, 8, 1), 16), ("cnn28", (28, 28, 1), 64), ("rand28", (28, 28, 1), 64), ("rand28", (17, 5, 3), 64)],
)
def test_features_of_uint8_images(name: str, shape: tuple[int, ...], num_features: int) -> None:
    features = extract(noise(11, *shape), load_extractor(name))
    assert features.shape == (11, num_features)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    assert not features.is_inference()
    assert features.std(0).min() > 0


@pytest.mark.parametrize(
    ("name", "shape"),
    [("cnn8", (8, 8, 1)), ("cnn28", (28, 28, 1)), ("rand28", (9, 12, 3)), ("rand32", (32, 32, 3))],
)
def test_an_image_has_the_same_features_in_any_batch_and_on_any_number_of_threads(
    name: str, shape: tuple[int, ...]
) -> None:
    images, extractor = noise(301, *shape), load_extractor(name)
    whole = extract(images, extractor)
    alone = torch.cat([extract(image[None], extractor) for image in images[:20]])
    assert torch.allclose(alone, whole[:20], atol=2e-5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert torch.allclose(extract(images, extractor), whole, atol=2e-5)
    finally:
        torch.set_num_threads(threads)


def test_autocast_and_reduced_precision_are_switched_off_for_features() -> None:
    images, extractor = noise(64, 8, 8, 1), load_extractor("cnn8")
    features = extract(images, extractor)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(extract(images, extractor), features)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_network_left_in_training_mode_is_put_in_eval_mode() -> None:
    images, extractor = noise(64, 8, 8, 1), load_extractor("cnn8")
    features = extract(images, extractor)
    extractor.network.train()
    assert torch.equal(extract(images, extractor), features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_floats_passed_as_images_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InvalidSamples, match="not uint8: quantise them first"):
        extract(torch.zeros(3, 8, 8, 1, dtype=dtype), load_extractor("cnn8"))


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (3, 8, 8, 3), (3, 1, 8, 8)])
def test_a_wrong_size_is_refused_with_the_extractor_that_works(shape: tuple[int, ...]) -> None:
    name = "cnn28" if shape[1] == 28 else "rand28"
    if shape[3] == 8:
        with pytest.raises(InvalidSamples, match="cnn8 takes 1x8x8 images, these are 8x1x8"):
            extract(noise(*shape), load_extractor("cnn8"))
        return
    with pytest.raises(InvalidSamples, match=f"use {name}") as error:
        extract(noise(*shape), load_extractor("cnn8"))
    assert "\n" not in str(error.value)


def test_five_channels_are_refused() -> None:
    with pytest.raises(InvalidSamples, match="these have 5"):
        extract(noise(2, 16, 16, 5), load_extractor("rand28"))


def test_images_without_a_channel_axis_are_refused() -> None:
    with pytest.raises(InvalidSamples, match=r"shape \(4, 8, 8\)"):
        extract(noise(4, 8, 8), load_extractor("cnn8"))


def test_the_cache_goes_by_content() -> None:
    """Other images in the same variable, or the same images through another extractor, are extracted anew."""
    cache: dict[tuple[str, str], Tensor] = {}
    images, cnn8, rand28 = noise(30, 8, 8, 1), load_extractor("cnn8"), load_extractor("rand28")
    first = extract_cached(images, cnn8, cache)
    assert extract_cached(images.clone(), cnn8, cache) is first
    images[0, 0, 0, 0] ^= 1
    changed = extract_cached(images, cnn8, cache)
    assert not torch.equal(changed, first)
    assert extract_cached(images, rand28, cache).shape[1] == 64
    assert len(cache) == 3


def test_content_hash_sees_type_shape_and_bytes() -> None:
    x = noise(4, 2, 2, 1)
    others = [x.flatten(), x.view(torch.int8), x.flip(0)]
    assert content_hash(x) == content_hash(x.clone())
    assert len({content_hash(x), *map(content_hash, others)}) == 4
