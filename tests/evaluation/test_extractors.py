"""The built-in extractors, their weights, and Inception: offline, damaged, and in place."""

import gzip
import hashlib
import pickle
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from genzoo.errors import ExtractorUnavailable, UnknownName
from genzoo.evaluation import evaluate_images, extractors
from genzoo.evaluation.extractors import (
    INCEPTION,
    WEIGHTS,
    default_extractor,
    load_extractor,
    register_with_torch_fidelity,
)
from genzoo.evaluation.features import extract
from genzoo.evaluation.frechet import frechet_distance

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


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


@pytest.mark.parametrize("name", ["cnn8", "cnn28", "rand28"])
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
        ((3, 32, 32), "rand28"),
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
    right = load_extractor("cnn8").network.net(test.permute(0, 3, 1, 2)).argmax(1) == labels
    assert right.double().mean() >= 0.98


@pytest.mark.skipif(not FASHION_MNIST.is_dir(), reason="Fashion-MNIST's IDX files are not on this machine")
def test_cnn28_classifies_clothes_it_has_not_seen() -> None:
    def read(name: str, header: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((FASHION_MNIST / name).read_bytes()), np.uint8, offset=header).copy()

    images = torch.from_numpy(read("t10k-images-idx3-ubyte.gz", 16)).reshape(-1, 1, 28, 28)
    labels = torch.from_numpy(read("t10k-labels-idx1-ubyte.gz", 8))
    with torch.inference_mode():
        guesses = torch.cat([load_extractor("cnn28").network.net(part).argmax(1) for part in images.split(1000)])
    assert (guesses == labels).double().mean() >= 0.92


def test_features_are_standardised_on_the_training_split(digits: tuple[Tensor, Tensor, Tensor]) -> None:
    features = extract(digits[0], load_extractor("cnn8"))
    assert features.mean(0).abs().max() < 1e-4
    assert features.var(0).mean() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("name", "shape"), [("cnn8", (8, 8, 1)), ("cnn28", (28, 28, 1)), ("rand28", (20, 24, 3))])
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


@pytest.mark.parametrize(("name", "shape"), [("cnn8", (8, 8, 1)), ("cnn28", (28, 28, 1)), ("rand28", (20, 24, 3))])
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


def test_inception_offline_is_one_line_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("GENZOO_EXTRACTOR_WEIGHTS", raising=False)
    with pytest.raises(ExtractorUnavailable) as error:
        load_extractor(INCEPTION)
    message = str(error.value)
    assert "\n" not in message
    for part in (
        "weights-inception-2015-12-05-6726825d.pth",
        str(tmp_path),
        "--extractor-weights",
        "cnn8",
        "the network",
    ):
        assert part in message


def test_another_file_in_place_of_inceptions_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"something else")
    with pytest.raises(ExtractorUnavailable, match="is another file"):
        load_extractor(INCEPTION, weights=path)
    with pytest.raises(ExtractorUnavailable, match="is not there"):
        load_extractor(INCEPTION, weights=tmp_path / "absent.pth")


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the right form: Inception's network with random weights."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    with (
        patch.object(inception, "load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None),
        patch.object(torch.nn.init, "trunc_normal_", lambda tensor, **_: tensor.normal_(0, 0.05)),
    ):
        torch.save(FeatureExtractorInceptionV3(INCEPTION, ["2048"]).state_dict(), path)
    return path


def test_inception_equals_torch_fidelitys_and_is_the_only_one_called_fid(
    random_inception: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the weights, whose hash is made the known one; grey pictures become grey RGB."""
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", hashlib.sha256(random_inception.read_bytes()).hexdigest())
    monkeypatch.setenv("GENZOO_EXTRACTOR_WEIGHTS", str(random_inception))
    extractor = load_extractor(INCEPTION)
    assert extractor.label == "FID"
    assert extractor.literature_comparable
    images = blobs(3, (28, 28, 1), 0)
    theirs = FeatureExtractorInceptionV3(INCEPTION, ["2048"], feature_extractor_weights_path=str(random_inception))
    with torch.no_grad():
        truth = theirs(images.expand(-1, -1, -1, 3).permute(0, 3, 1, 2))[0]
    assert torch.equal(extract(images, extractor), truth)


def test_inception_weights_that_hold_code_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "bomb.pth"
    torch.save({"fc.weight": Bomb()}, path)
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        load_extractor(INCEPTION, weights=path)
    assert not (tmp_path / "exploded").exists()
