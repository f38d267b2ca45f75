"""The files of pretrained weights: known by their hashes, fetched, and refused when absent, damaged or another."""

import hashlib
import io
from pathlib import Path

import pytest
import torch
from stand_ins import Vouch, nowhere, pictures, small_vision_transformer, vouch

from genzoo.builtin import PRETRAINED
from genzoo.errors import ExtractorUnavailable, PluginError
from genzoo.evaluation.extractors import INCEPTION, load_extractor
from genzoo.evaluation.extractors.pretrained import FILES
from genzoo.evaluation.features import extract

__all__ = ["nowhere", "vouch"]


def refusal(name: str, weights: Path | None = None) -> str:
    """The one line with which the extractor is refused."""
    with pytest.raises(ExtractorUnavailable) as error:
        load_extractor(name, weights=weights)
    assert "\n" not in str(error.value)
    return str(error.value)


# What is known


def test_every_file_is_known_by_its_whole_hash() -> None:
    assert set(FILES) == set(PRETRAINED)
    for file in FILES.values():
        assert len(file.sha256) == 64
        assert set(file.sha256) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", [INCEPTION, "vgg16", *(name for name in PRETRAINED if name.startswith("clip"))])
def test_the_name_of_a_file_holds_the_beginning_of_its_hash(name: str) -> None:
    """The publishers write it there: so the hashes here are those of these files."""
    assert FILES[name].sha256[:8] in FILES[name].name


# Not there, or another file


@pytest.mark.parametrize("name", PRETRAINED)
def test_offline_is_one_line_that_says_what_to_do(name: str, tmp_path: Path) -> None:
    told = refusal(name)
    for part in (
        f"{name} needs {FILES[name].name}",
        str(tmp_path / "torch" / "hub" / "checkpoints" / FILES[name].name),
        "the network is blocked",
        f"get it from {FILES[name].url}",
        "--extractor-weights PATH",
        "--extractor cnn8 (1x8x8), cnn28 (1x28x28), rand32 (3x32x32) or rand28 (any size) works now",
    ):
        assert part in told


@pytest.mark.parametrize("name", PRETRAINED)
def test_another_file_is_refused_before_anything_in_it_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the file was loaded")

    monkeypatch.setattr(torch, "load", never)
    monkeypatch.setattr(torch.jit, "load", never)
    path = tmp_path / "weights"
    path.write_bytes(b"something else")
    found = hashlib.sha256(b"something else").hexdigest()
    assert f"another file (its sha256 is {found[:8]}..., not {FILES[name].sha256[:8]}...)" in refusal(name, path)
    assert f"{tmp_path / 'absent'} is not there" in refusal(name, tmp_path / "absent")
    assert f"{tmp_path / FILES[name].name} is not there" in refusal(name, tmp_path)


def test_a_download_with_another_hash_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"not the weights"))
    assert "what came from there was another file" in refusal(INCEPTION)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise ConnectionResetError("reset by peer")

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Broken())
    assert "could not be fetched (reset by peer)" in refusal("dinov2-vit-s-14")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_download_with_the_right_hash_is_kept(tmp_path: Path, vouch: Vouch, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "published.pth"
    torch.save(small_vision_transformer().state_dict(), path)
    vouch("dinov2-vit-s-14", path)
    answers = iter([io.BytesIO(path.read_bytes())])  # one, and no second
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: next(answers))
    first, second = load_extractor("dinov2-vit-s-14"), load_extractor("dinov2-vit-s-14")
    assert torch.equal(extract(pictures(), first), extract(pictures(), second))


class Bomb:
    """What a pickle can do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", [name for name in PRETRAINED if not name.startswith("clip")])
def test_a_file_that_holds_code_is_not_run_whatever_its_hash(name: str, tmp_path: Path, vouch: Vouch) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"weight": Bomb(tmp_path / "exploded")}, path)
    with pytest.raises(PluginError, match="Weights only load failed"):
        load_extractor(name, weights=vouch(name, path))
    assert not (tmp_path / "exploded").exists()


def test_a_pickle_in_place_of_an_archive_is_not_run_whatever_its_hash(tmp_path: Path, vouch: Vouch) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"weight": Bomb(tmp_path / "exploded")}, path)
    with pytest.raises(PluginError, match="PytorchStreamReader failed"):
        load_extractor("clip-vit-b-32", weights=vouch("clip-vit-b-32", path))
    assert not (tmp_path / "exploded").exists()
