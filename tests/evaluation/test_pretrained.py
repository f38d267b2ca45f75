"""Inception, VGG16, CLIP and DINOv2 in place, with stand-ins for their weights."""

import math
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import torchvision
from stand_ins import Vouch, nowhere, pictures, small_vision_transformer, vouch
from torch import Tensor, nn
from torch_fidelity import feature_extractor_clip as clip
from torch_fidelity import feature_extractor_inceptionv3 as inception
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as resize

from genzoo.errors import InvalidSamples
from genzoo.evaluation.extractors import INCEPTION, load_extractor
from genzoo.evaluation.extractors.pretrained import FILES
from genzoo.evaluation.extractors.vision_transformer import VisionTransformer
from genzoo.evaluation.features import extract

__all__ = ["nowhere", "vouch"]


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


def test_inception_equals_torch_fidelitys_and_is_the_only_one_called_fid(random_inception: Path, vouch: Vouch) -> None:
    """Grey pictures become grey RGB; the classes are torch-fidelity's too."""
    extractor = load_extractor(INCEPTION, weights=vouch(INCEPTION, random_inception))
    assert (extractor.label, extractor.literature_comparable) == ("FID", True)
    theirs = FeatureExtractorInceptionV3(
        INCEPTION, ["2048", "logits"], feature_extractor_weights_path=str(random_inception)
    )
    with torch.no_grad():
        truth, logits = theirs(pictures(1).expand(-1, -1, -1, 3).permute(0, 3, 1, 2))
    features = extract(pictures(1), extractor)
    assert torch.equal(features, truth)
    found = extractor.logits(features)
    assert found is not None and torch.allclose(found, logits, atol=1e-5)


def test_weights_are_found_by_path_by_folder_in_the_environment_and_where_torch_keeps_them(
    random_inception: Path, vouch: Vouch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vouch(INCEPTION, random_inception)
    kept = tmp_path / "torch" / "hub" / "checkpoints" / FILES[INCEPTION].name
    kept.parent.mkdir(parents=True)
    kept.symlink_to(random_inception)
    sha256 = FILES[INCEPTION].sha256
    assert load_extractor(INCEPTION).sha256 == sha256
    assert load_extractor(INCEPTION, weights=kept.parent).sha256 == sha256
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "elsewhere"))
    for named in (random_inception, kept.parent):
        monkeypatch.setenv("GENZOO_EXTRACTOR_WEIGHTS", str(named))
        assert load_extractor(INCEPTION).sha256 == sha256


def constant_along_rows(state: dict[str, Tensor], std: float) -> dict[str, Tensor]:
    """Random weights of these shapes, one number to a row: a stand-in of half a gigabyte is a small file."""
    generator = torch.Generator().manual_seed(0)

    def row(x: Tensor) -> Tensor:
        return (std * torch.randn(len(x), *[1] * (x.dim() - 1), generator=generator)).expand_as(x)

    return {key: row(value) for key, value in state.items()}


def test_vgg16_equals_torch_fidelitys(tmp_path: Path, vouch: Vouch) -> None:
    """To 1e-5: products of such weights are added in another order when they lie otherwise in memory."""
    with torch.device("meta"):
        shapes = torchvision.models.vgg16().state_dict()
    path = tmp_path / "vgg16.pth"
    torch.save(constant_along_rows(shapes, 0.0015), path)
    assert path.stat().st_size < 1_000_000
    extractor = load_extractor("vgg16", weights=vouch("vgg16", path))
    theirs = FeatureExtractorVGG16("vgg16", ["fc2_relu"], feature_extractor_weights_path=str(path))
    with torch.no_grad():
        truth = theirs(pictures().permute(0, 3, 1, 2))[0]
    assert truth.std(0).max() > 0.01 * truth.max() > 0
    assert torch.allclose(extract(pictures(), extractor), truth, rtol=1e-5, atol=0)
    assert extractor.label.startswith("FD[vgg16@")


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A TorchScript archive with the names of CLIP's: two layers of width 64 on patches of 16, in half precision."""

    class Whole(clip.CLIPVisual):
        def __init__(self) -> None:
            super().__init__(8, 32, 2, 64, 16)
            self.text_projection = nn.Parameter(torch.zeros(4, 8))

        def forward(self, x: Tensor) -> Tensor:
            return self.visual(x)

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    whole = Whole().eval()
    with pytest.warns(Warning):
        torch.jit.save(torch.jit.trace(whole, torch.zeros(1, 3, 32, 32)), str(path))
    return path


def test_clip_equals_torch_fidelitys(small_clip: Path, vouch: Vouch) -> None:
    extractor = load_extractor("clip-vit-b-32", weights=vouch("clip-vit-b-32", small_clip))
    with pytest.warns(Warning):
        theirs = clip.FeatureExtractorCLIP("clip-vit-b-32", ["clip"], feature_extractor_weights_path=str(small_clip))
    with torch.no_grad():
        truth = theirs(pictures().permute(0, 3, 1, 2))[0]
    assert truth.shape == (3, 8) and truth.std(0).min() > 0
    assert torch.equal(extract(pictures(), extractor), truth)


def by_torch(network: VisionTransformer, images: Tensor, positions: Tensor) -> Tensor:
    """The same function by torch's own encoder: its layers have no scales, so these go into the projections."""
    state, width = network.state_dict(), 128
    layer = nn.TransformerEncoderLayer(
        width,
        width // 64,
        4 * width,
        dropout=0,
        activation="gelu",
        layer_norm_eps=1e-6,
        batch_first=True,
        norm_first=True,
    )
    x = nn.functional.conv2d(images, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    x = torch.cat([state["cls_token"].expand(len(images), -1, -1), x.flatten(2).mT], 1) + positions
    for i in range(3):
        part = {key.removeprefix(f"blocks.{i}."): v for key, v in state.items() if key.startswith(f"blocks.{i}.")}
        one, two = part["ls1.gamma"], part["ls2.gamma"]
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": part["attn.qkv.weight"], "self_attn.in_proj_bias": part["attn.qkv.bias"],
                "self_attn.out_proj.weight": one[:, None] * part["attn.proj.weight"],
                "self_attn.out_proj.bias": one * part["attn.proj.bias"],
                "linear1.weight": part["mlp.fc1.weight"], "linear1.bias": part["mlp.fc1.bias"],
                "linear2.weight": two[:, None] * part["mlp.fc2.weight"], "linear2.bias": two * part["mlp.fc2.bias"],
                **{f"norm{j}.{end}": part[f"norm{j}.{end}"] for j in (1, 2) for end in ("weight", "bias")},
            }
        )  # fmt: skip
        x = layer.double()(x)
    return nn.functional.layer_norm(x, (width,), state["norm.weight"], state["norm.bias"], 1e-6)[:, 0]


def test_the_vision_transformer_equals_torchs_encoder_at_its_own_size() -> None:
    """To 1e-10 in float64."""
    network = small_vision_transformer().double()
    images = torch.randn(2, 3, 98, 98, dtype=torch.float64)
    assert torch.allclose(network(images), by_torch(network, images, network.pos_embed), atol=1e-10)


def cubic(x: float) -> float:
    """The kernel of cubic convolution with a = -3/4 (Keys, 1981)."""
    a, x = -0.75, abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def test_learned_positions_are_resampled_where_the_published_evaluation_puts_them() -> None:
    """Cubic convolution at (i + 1/2) 7 / (16 + 0.1) - 1/2 along both sides, borders repeated: to 1e-10 in float64."""
    network = small_vision_transformer().double()
    matrix = torch.zeros(16, 7, dtype=torch.float64)
    for i in range(16):
        at = (i + 0.5) * 7 / 16.1 - 0.5
        for tap in range(math.floor(at) - 1, math.floor(at) + 3):
            matrix[i, min(max(tap, 0), 6)] += cubic(at - tap)
    learned = network.pos_embed[0, 1:].view(7, 7, 128)
    expected = torch.einsum("ia,jb,abd->ijd", matrix, matrix, learned).flatten(0, 1)
    images = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    positions = torch.cat([network.pos_embed[:, :1], expected[None]], 1)
    assert torch.allclose(network(images), by_torch(network, images, positions), atol=1e-10)


def test_dinov2_is_torch_fidelitys_resizing_and_the_vision_transformer(tmp_path: Path, vouch: Vouch) -> None:
    """No program is fetched for it: the network is in the package, and only tensors are read."""
    network = small_vision_transformer()
    path = tmp_path / "dinov2.pth"
    torch.save(network.state_dict(), path)
    extractor = load_extractor("dinov2-vit-s-14", weights=vouch("dinov2-vit-s-14", path))
    x = resize(pictures().permute(0, 3, 1, 2).float(), size=(224, 224), align_corners=False)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    truth = network((x - 255 * mean.view(3, 1, 1)) / (255 * std.view(3, 1, 1)))
    assert torch.allclose(extract(pictures(), extractor), truth, atol=1e-5)
    assert extractor.label.startswith("FD[dinov2-vit-s-14@")


def test_two_channels_are_refused(random_inception: Path, vouch: Vouch) -> None:
    extractor = load_extractor(INCEPTION, weights=vouch(INCEPTION, random_inception))
    with pytest.raises(InvalidSamples, match="these have 2"):
        extractor.check_shape((2, 8, 8))
