"""The built-in extractors and their weights, and those of plugins. The pretrained ones have a file of their own."""

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from genzoo.errors import InvalidOption, InvalidSamples, PluginError, UnknownName
from genzoo.evaluation import evaluate_images
from genzoo.evaluation.extractors import (
    INCEPTION,
    WEIGHTS,
    default_extractor,
    load_extractor,
    register_with_torch_fidelity,
)
from genzoo.evaluation.features import extract
from genzoo.evaluation.frechet import frechet_distance
from genzoo.hookspecs import hookimpl
from genzoo.zoo import Zoo

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


SIZES = [("cnn8", (8, 8, 1)), ("cnn28", (28, 28, 1)), ("rand28", (20, 24, 3)), ("rand32", (32, 32, 3))]


class Pictures(Dataset):
    """uint8 [c, h, w], as torch-fidelity reads a data set."""

    def __init__(self, images: Tensor) -> None:
        self.images = images.permute(0, 3, 1, 2)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i]


def blobs(n: int, shape: tuple[int, ...], seed: int) -> Tensor:
    """Smooth random pictures, uint8 [n, h, w, c]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, shape[2], 4, 4, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, shape[:2], mode="bilinear").to(torch.uint8).permute(0, 2, 3, 1)


@pytest.mark.parametrize("name", ["cnn8", "cnn28", "rand28", "rand32"])
def test_weights_are_small_and_their_hash_is_in_the_name(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    extractor = load_extractor(name)
    assert path.stat().st_size < 1_000_000
    assert extractor.sha256 == sha256
    assert extractor.label == f"FD[{name}@{sha256[:8]}]"
    assert not extractor.literature_comparable


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((1, 8, 8), "cnn8"),
        ((1, 28, 28), "cnn28"),
        ((3, 32, 32), "rand32"),
        ((3, 8, 8), "rand28"),
        ((1, 9, 9), "rand28"),
    ],
)
def test_the_default_extractor_takes_the_shape(shape: tuple[int, int, int], name: str) -> None:
    assert default_extractor(shape) == name
    load_extractor(name).check_shape(shape)


def test_an_unknown_extractor_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'cnn28'"):
        load_extractor("cnn27")


def test_cnn8_classifies_the_digits_it_has_not_seen(digits: tuple[Tensor, Tensor, Tensor]) -> None:
    _, test, labels = digits
    right = load_extractor("cnn8").network.source.net(test.permute(0, 3, 1, 2)).argmax(1) == labels
    assert right.double().mean() >= 0.98


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Fashion-MNIST's IDX files are not on this machine")
def test_cnn28_classifies_clothes_it_has_not_seen() -> None:
    def read(name: str, header: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((FASHION_MNIST / name).read_bytes()), np.uint8, offset=header).copy()

    images = torch.from_numpy(read("t10k-images-idx3-ubyte.gz", 16)).reshape(-1, 1, 28, 28)[:2500]
    labels = torch.from_numpy(read("t10k-labels-idx1-ubyte.gz", 8))[:2500]
    with torch.inference_mode():
        guesses = torch.cat([load_extractor("cnn28").network.source.net(part).argmax(1) for part in images.split(1000)])
    assert (guesses == labels).double().mean() >= 0.92


def test_features_are_standardised_on_the_training_split(digits: tuple[Tensor, Tensor, Tensor]) -> None:
    features = extract(digits[0], load_extractor("cnn8"))
    assert features.mean(0).abs().max() < 1e-4
    assert features.var(0).mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("name", "shape"), SIZES[:2])
def test_the_classes_of_features_are_those_of_the_images(name: str, shape: tuple[int, ...]) -> None:
    """The standardisation of the features is undone: the logits are the classifier's own, up to float32."""
    images, extractor = blobs(50, shape, 0), load_extractor(name)
    with torch.no_grad():
        truth = extractor.network.source.net(images.permute(0, 3, 1, 2))
    logits = extractor.logits(extract(images, extractor))
    assert logits is not None and torch.allclose(logits, truth, atol=1e-4)
    assert logits.std() > 0.5


def test_random_convolutions_see_no_classes() -> None:
    extractor = load_extractor("rand28")
    assert extractor.logits(extract(blobs(3, (9, 9, 1), 0), extractor)) is None


def natural(n: int, seed: int) -> Tensor:
    """Colour pictures whose amplitudes fall as 1 / f, as those of natural ones do: uint8 [n, 32, 32, 3]."""
    white = torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    frequency = torch.hypot(torch.fft.fftfreq(32)[:, None], torch.fft.rfftfreq(32)).clamp(min=1 / 32)
    field = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(32, 32))
    return (128 + 50 * field / field.std()).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def test_rand32_sees_colour_at_the_right_scale_and_in_many_directions() -> None:
    """Variances of order 1, over more than eight directions: no single one, such as brightness, drowns the rest."""
    features = extract(natural(1000, 0), load_extractor("rand32")).double()
    variances = torch.linalg.eigvalsh(torch.cov(features.T))
    assert 0.3 < features.var(0).mean() < 3
    assert variances.sum() ** 2 / variances.square().sum() > 8


@pytest.mark.parametrize("damage", ["grey", "red for green", "blurred", "darker"])
def test_rand32_notices_what_happens_to_colour_pictures(damage: str) -> None:
    real, fake, extractor = natural(600, 0), natural(600, 1), load_extractor("rand32")
    grey = fake.float().mean(3, keepdim=True).expand_as(fake).to(torch.uint8)
    tinted = (fake.float() * torch.tensor([1.1, 0.9, 1.0])).clamp(max=255).to(torch.uint8)
    pooled = torch.nn.functional.avg_pool2d(fake.permute(0, 3, 1, 2).float(), 3, 1, 1).permute(0, 2, 3, 1)
    damaged = {"grey": grey, "red for green": tinted, "blurred": pooled, "darker": fake.float() * 0.8}[damage]
    floor = frechet_distance(extract(fake, extractor), extract(real, extractor))
    found = frechet_distance(extract(damaged.to(torch.uint8), extractor), extract(real, extractor))
    assert found > 2 * floor


def test_rand32_takes_colour_of_one_size() -> None:
    with pytest.raises(InvalidSamples, match="rand32 takes 3x32x32 images, these are 3x64x64: use rand28"):
        load_extractor("rand32").check_shape((3, 64, 64))


def test_loading_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    load_extractor("cnn28")
    assert torch.equal(torch.get_rng_state(), before)


def test_an_extractor_without_a_file_refuses_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="'cnn28' takes no file of weights: leave out --extractor-weights"):
        load_extractor("cnn28", weights=tmp_path)


class Mean(nn.Module):
    """The mean of every channel: an extractor of somebody else."""

    sha256, batch_size = "ab" * 32, 7

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        if shape[0] != 3:
            raise InvalidSamples("colour only")

    def features(self, images: Tensor) -> Tensor:
        assert len(images) <= self.batch_size and not self.training
        return images.float().mean((2, 3))


def zoo_with(name: str, factory: Any) -> Zoo:
    class Plugin:
        @hookimpl
        def genzoo_extractors(self) -> dict[str, Any]:
            return {name: factory}

    zoo = Zoo()
    zoo.register(Plugin(), "acme")
    return zoo


def test_a_plugins_extractor_is_used_like_our_own() -> None:
    extractor = load_extractor("channel-means", zoo=zoo_with("channel-means", Mean))
    assert (extractor.label, extractor.literature_comparable) == ("FD[channel-means@abababab]", False)
    images = blobs(20, (8, 8, 3), 0)
    features = extract(images, extractor)
    assert torch.allclose(features, images.float().mean((1, 2)), atol=1e-4)
    assert extractor.logits(features) is None
    with pytest.raises(InvalidSamples, match="colour only"):
        extract(blobs(2, (8, 8, 1), 0), extractor)
    assert evaluate_images(images, blobs(20, (8, 8, 3), 1), extractor=extractor)["fd"].value is not None


def test_a_plugins_extractor_takes_weights_where_it_says_so(tmp_path: Path) -> None:
    class Weighed(Mean):
        def __init__(self, *, weights: Path | None = None) -> None:
            super().__init__()
            self.weights = weights

    zoo = zoo_with("weighed", Weighed)
    assert load_extractor("weighed", weights=tmp_path, zoo=zoo).network.source.weights == tmp_path
    with pytest.raises(InvalidOption, match="'channel-means' takes no file of weights"):
        load_extractor("channel-means", weights=tmp_path, zoo=zoo_with("channel-means", Mean))


def test_what_is_no_extractor_is_told_with_its_owner() -> None:
    with pytest.raises(PluginError, match="extractor 'odd' of plugin 'acme': a object lacks"):
        load_extractor("odd", zoo=zoo_with("odd", object))


@pytest.mark.parametrize(("name", "shape"), SIZES)
def test_more_noise_is_further_away(name: str, shape: tuple[int, ...]) -> None:
    real, fake, extractor = blobs(300, shape, 0), blobs(300, shape, 1).float(), load_extractor(name)
    grain = torch.randn(fake.shape, generator=torch.Generator().manual_seed(2))
    distances = [
        frechet_distance(
            extract((fake + std * grain).clamp(0, 255).to(torch.uint8), extractor), extract(real, extractor)
        )
        for std in (0, 20, 40, 80)
    ]
    assert distances == sorted(distances)
    assert distances[3] > 4 * distances[0]


@pytest.mark.parametrize(("name", "shape"), SIZES)
def test_the_pipeline_of_torch_fidelity_gives_the_same_numbers(name: str, shape: tuple[int, ...]) -> None:
    """It averages in float32 where this package uses float64: hence 1e-4, and 2e-3 for the kernel distance."""
    register_with_torch_fidelity()
    register_with_torch_fidelity()
    fake, real = blobs(200, shape, 0).flip(1), (blobs(200, shape, 1).float() * 0.8).to(torch.uint8)
    theirs = torch_fidelity.calculate_metrics(
        input1=Pictures(fake), input2=Pictures(real), feature_extractor=name, fid=True, kid=True, prc=True,
        kid_subsets=1, kid_subset_size=200, cuda=False, cache=False, save_cpu_ram=True, verbose=False,
    )  # fmt: skip
    ours = evaluate_images(fake, real, extractor=load_extractor(name))
    assert ours["fd"].value == pytest.approx(theirs[torch_fidelity.KEY_METRIC_FID], rel=1e-4)
    assert ours["kid"].value == pytest.approx(theirs[torch_fidelity.KEY_METRIC_KID_MEAN], rel=2e-3)
    assert ours["precision_k3"].value == pytest.approx(theirs[torch_fidelity.KEY_METRIC_PRECISION], abs=1.01 / 200)
    assert ours["recall_k3"].value == pytest.approx(theirs[torch_fidelity.KEY_METRIC_RECALL], abs=1.01 / 200)


def test_registering_leaves_torch_fidelitys_own_extractors_alone() -> None:
    register_with_torch_fidelity()
    assert FEATURE_EXTRACTORS_REGISTRY[INCEPTION] is FeatureExtractorInceptionV3
