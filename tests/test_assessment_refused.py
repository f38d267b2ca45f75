"""Bad input is refused in one line before anything is drawn or fetched, or has documented values."""

import socket
from pathlib import Path

import pytest
import torch
from scored import digits, images, kept, noise
from torch import Tensor

from genzoo import run as runs
from genzoo.assessment import evaluate
from genzoo.errors import ExtractorUnavailable, GenZooError, InvalidConfig, InvalidOption, InvalidSamples, UnknownName
from genzoo.run import Run

__all__ = ["images", "kept"]


@pytest.mark.parametrize(
    ("subject", "named", "error", "told"),
    [
        (digits(9), {}, InvalidSamples, "say what to compare the samples with, --data NAME or --against SOURCE: neith"),
        (digits(9), {"data": "digits", "against": "digits"}, InvalidSamples, "both are given"),
        ("nowhere.npz", {"data": "digits"}, InvalidSamples, "nowhere.npz is not there: give a file, a folder or a spl"),
        ("no/where", {"data": "digits"}, InvalidSamples, "no/where is not there"),
        ("x" * 300, {"data": "digits"}, InvalidSamples, "cannot be opened (File name too long): give another path"),
        (digits(9), {"against": "x/" * 5000}, InvalidSamples, "cannot be opened (File name too long)"),
        (digits(9), {"data": "digits", "extractor_weights": Path("x" * 300)}, InvalidSamples, "cannot be opened"),
        ("digit:test", {"data": "digits"}, UnknownName, "unknown data set 'digit'; did you mean 'digits'"),
        ("digits", {"data": "digits"}, InvalidSamples, "say which split of it, digits:train or digits:test"),
        (digits(9), {"against": "nowhere.npz"}, InvalidSamples, "nowhere.npz is not there"),
        (digits(1), {"data": "digits"}, InvalidSamples, "the generated set has 1 rows; it needs at least 6"),
        (digits(5), {"data": "digits"}, InvalidSamples, "the generated set has 5 rows; it needs at least 6"),
        (digits(9).float(), {"data": "digits"}, InvalidSamples, "tensor is float32 [9, 8, 8, 1], not uint8: quantise"),
        (digits(9) // 16, {"data": "digits"}, InvalidSamples, "no pixel above 15: spread them over 0..255"),
        (noise(9, 8, 8, 3), {"data": "digits"}, InvalidSamples, "tensor has 3 channels and the data 1"),
        (noise(9, 8, 8, 1), {"against": noise(9, 8, 8, 3)}, InvalidSamples, "tensor has 1 channel and the data 3"),
        (digits(9), {"data": "8gaussians"}, InvalidSamples, "uint8 [9, 8, 8, 1]; the data is a set of points"),
        (torch.zeros(9, 2), {"data": "8gaussians"}, InvalidSamples, "it needs at least 10"),
        (torch.zeros(20, 3), {"data": "8gaussians"}, InvalidSamples, "float32 [20, 3]; the data is a set of points"),
        (torch.full((20, 2), torch.nan), {"data": "8gaussians"}, InvalidSamples, "20 of 20 rows"),
        (digits(9), {"data": "digits", "resize": "nearest"}, InvalidConfig, "resize 'nearest' is unknown (allowed: bi"),
        (digits(9), {"data": "digits", "likelihood": "most"}, InvalidConfig, "likelihood 'most' is unknown (allowed:"),
        (
            digits(9),
            {"data": "digits", "sampler": "ddim"},
            InvalidConfig,
            "tensor holds samples, none are drawn: leave",
        ),
        (digits(9), {"data": "digits", "options": {"a": 1}}, InvalidConfig, "leave out 'a'"),
        (digits(9), {"data": "digits", "num_samples": 0}, InvalidConfig, "genzoo.evaluate: num_samples = 0"),
        (digits(9), {"against": "digits", "size": 8}, InvalidConfig, "size=8 is of a data set"),
        (digits(9), {"data": "digits", "extractor": "cnn9"}, UnknownName, "unknown extractor 'cnn9'"),
        (digits(9), {"data": "digits", "beside": "cnn9"}, UnknownName, "unknown extractor 'cnn9'"),
        (digits(9), {"data": "digits", "extractor_weights": Path("w.pth")}, InvalidOption, "takes no file of weights"),
        (digits(9), {"data": "digits", "extractor": "cnn28"}, InvalidSamples, "cnn28 takes 1x28x28 images"),
        (torch.zeros(20, 2), {"data": "8gaussians", "extractor": "cnn8"}, InvalidConfig, "leave out 'cnn8'"),
        (torch.zeros(20, 2), {"data": "8gaussians", "beside": "cnn9"}, InvalidConfig, "leave out 'cnn9'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    subject: Tensor | str, named: dict[str, object], error: type[GenZooError], told: str
) -> None:
    with pytest.raises(error) as caught:
        evaluate(subject, **named)
    assert told in str(caught.value) and "\n" not in str(caught.value) and caught.value.status == 2


def test_an_unreadable_image_in_the_middle_of_a_folder_is_named(kept: Path, tmp_path: Path) -> None:
    for path in (kept / "pictures").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes() if path.name != "30.png" else b"\x89PNG")
    with pytest.raises(InvalidSamples, match=r"1 of 60 images in .* cannot be used, first 30.png: not an image"):
        evaluate(tmp_path, data="digits")


def test_images_that_are_all_the_same_have_documented_values() -> None:
    found = evaluate(digits(1).expand(50, -1, -1, -1), data="digits", beside="none").metrics
    assert found["unique"].value == 1 / 50 and found["vendi"].value == pytest.approx(1)
    assert found["recall"].value == 0 and found["fd"].value > 0


def test_weights_with_a_wrong_hash_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inception.pth").write_bytes(b"something else")
    with pytest.raises(ExtractorUnavailable) as caught:
        evaluate(
            digits(9), data="digits", extractor="inception-v3-compat", extractor_weights=tmp_path / "inception.pth"
        )
    assert "sha256" in str(caught.value) and "\n" not in str(caught.value)


def test_what_an_evaluation_of_a_run_cannot_heed_is_refused(images: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "draw", lambda *arguments, **named: pytest.fail("it draws"))
    with pytest.raises(InvalidConfig, match="a run is measured against its own data, digits: leave out '8gaussians'"):
        evaluate(images.folder, data="8gaussians")
    with pytest.raises(InvalidConfig, match="leave out 28"):
        evaluate(images.folder, size=28)


def test_an_extractor_without_weights_is_refused_before_anything_is_drawn(
    images: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "draw", lambda *arguments: pytest.fail("it draws"))
    with pytest.raises(UnknownName, match="unknown extractor"):
        evaluate(images, extractor="cnn9")
    with pytest.raises(ExtractorUnavailable, match=str(tmp_path / "nothing")):
        evaluate(images, extractor="inception-v3-compat", extractor_weights=tmp_path / "nothing.pth")


def test_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("sockets are blocked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert evaluate(digits(60), data="digits").metrics["fd"].value > 0
