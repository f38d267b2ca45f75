"""Anything can be scored against anything; what cannot be is refused in one line."""

import inspect
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small import family
from torch import Tensor

from genzoo import run as runs
from genzoo.assessment import evaluate
from genzoo.data import load
from genzoo.errors import (
    ExtractorUnavailable,
    GenZooError,
    InvalidConfig,
    InvalidOption,
    InvalidSamples,
    UnknownName,
)
from genzoo.evaluation import comparable, extract, load_extractor
from genzoo.images import quantise, to_unit
from genzoo.run import Run, start

DIGITS = load("digits")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A VAE of the digits, hardly trained."""
    config = family("vae", data="digits", budget="5steps")
    return start(config, tmp_path_factory.mktemp("runs") / "images", progress=False)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A diffusion model of points, hardly trained."""
    config = family("ddpm", budget="5steps")
    return start(config, tmp_path_factory.mktemp("runs") / "points", progress=False)


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


# What can be scored


def test_a_file_a_folder_a_tensor_and_an_array_of_the_same_images_score_the_same(kept: Path) -> None:
    subjects = (kept / "samples.npz", str(kept / "pictures"), digits(60), digits(60).numpy())
    records = [evaluate(subject, data="digits") for subject in subjects]
    assert [record.model.name for record in records] == ["samples.npz", "pictures", "tensor", "array"]
    assert all(record.metrics == records[0].metrics for record in records)
    assert len({record.sampling.sha256 for record in records}) == 1
    assert records[0].sampling.sampler == "given" and records[0].sampling.calls_per_sample is None


def test_a_run_and_its_folder_score_the_same(images: Run) -> None:
    ours = evaluate(images, seed=2, likelihood_images=20)
    theirs = evaluate(str(images.folder), data="digits", seed=2, likelihood_images=20)
    assert ours.metrics == theirs.metrics and ours.model.checkpoint == theirs.model.checkpoint
    assert ours.likelihood == theirs.likelihood and ours.likelihood[0].n == 20


def test_a_run_is_drawn_as_asked(points: Run) -> None:
    record = evaluate(points, num_samples=300, sampler="ddim", options={"num_steps": 3})
    assert (record.sampling.n, record.sampling.sampler, record.sampling.calls_per_sample) == (300, "ddim", 3)


def test_a_split_of_a_data_set_is_scored_without_being_exported() -> None:
    record = evaluate("digits:test", data="digits", beside="none")
    assert (record.model.name, record.sampling.n) == ("digits:test", 500)
    assert record.metrics["fd"].value == pytest.approx(0, abs=1e-6)
    assert record.metrics["coverage"].value == 1 and record.metrics["density"].value == pytest.approx(1)
    fewer = evaluate("digits:train", data="digits", num_samples=100, beside="none")
    assert fewer.sampling.n == fewer.data.n == 100


def test_points_are_scored_from_a_file_a_tensor_and_a_split(tmp_path: Path) -> None:
    x = load("8gaussians").test.points()[:200]
    np.savez(tmp_path / "points.npz", arr_0=x.numpy())
    of_file, of_tensor = (evaluate(subject, data="8gaussians") for subject in (tmp_path / "points.npz", x))
    assert of_file.metrics == of_tensor.metrics and 0.9 < of_file.metrics["good_points"].value <= 1
    assert (of_file.model.name, of_file.extractor, of_file.beside) == ("points.npz", None, None)
    assert evaluate("8gaussians:train", data="8gaussians", num_samples=200).sampling.n == 200


def test_a_pipeline_is_sampled_quantised_and_scored(tmp_path: Path) -> None:
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    unet = UNet2DModel(
        sample_size=16, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
    )  # fmt: skip
    DDPMPipeline(unet, DDPMScheduler()).save_pretrained(tmp_path)
    record = evaluate(tmp_path, data="digits", num_samples=20, seed=1, options={"num_inference_steps": 2})
    sampling = record.sampling
    assert (sampling.sampler, sampling.n, sampling.seed) == ("DDPMScheduler", 20, 1)
    assert sampling.options == {"num_inference_steps": 2} and sampling.calls_per_sample == 2 and sampling.seconds > 0
    assert record.model.parameters.total > 0 and "fd_debiased" in record.metrics
    assert "20 of 20 images resized to 8x8 (bicubic, antialiased)" in record.data.preparation
    with pytest.raises(InvalidConfig, match="has a scheduler of its own: leave out 'ddim'"):
        evaluate(tmp_path, data="digits", sampler="ddim")
    with pytest.raises(InvalidSamples, match="makes images, and the data is a set of points"):
        evaluate(tmp_path, data="8gaussians")


# Against what


def test_the_other_side_may_be_a_file_a_folder_a_tensor_or_a_split(kept: Path) -> None:
    sides = (kept / "samples.npz", kept / "pictures", digits(60), digits(60).numpy())
    records = [evaluate(digits(120)[60:], against=side, beside="none") for side in sides]
    assert all(record.metrics == records[0].metrics for record in records)
    assert [record.data.name for record in records] == ["samples.npz", "pictures", "tensor", "array"]
    assert len({record.data.fingerprint for record in records}) == 1 and records[0].data.split == "all"
    assert "auth_pct" not in records[0].metrics and any("copies are not looked for" in w for w in records[0].warnings)


def test_a_data_set_alone_is_its_test_split() -> None:
    one, other = (evaluate(digits(60), beside="none", **side) for side in ({"data": "digits"}, {"against": "digits"}))
    assert one.metrics == other.metrics and other.data.split == "test"
    train = evaluate(digits(60), against="digits:train", beside="none")
    assert train.data.split == "train" and "auth_pct" not in train.metrics


def test_a_run_in_the_working_folder_is_called_by_its_name(images: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(images.folder)
    with pytest.raises(InvalidSamples, match=r"^images makes samples of shape \(1, 8, 8\)"):
        evaluate(Run.open("."), against=noise(20, 8, 8, 3))


def test_a_run_is_measured_against_something_else_without_being_changed(images: Run) -> None:
    before = sorted(images.folder.rglob("*"))
    record = evaluate(images, against="digits:train", num_samples=100, likelihood_images=10)
    assert (record.data.split, record.data.n, record.training.steps) == ("train", 100, 5)
    assert record.likelihood == ()  # which would be of the run's own test split
    assert sorted(images.folder.rglob("*")) == before
    with pytest.raises(InvalidSamples, match=r"images makes samples of shape \(1, 8, 8\), tensor has \(3, 8, 8\)"):
        evaluate(images, against=noise(20, 8, 8, 3))


def test_what_a_run_says_of_its_own_data_is_not_told_of_other_data(points: Run) -> None:
    record = evaluate(points, against="25gaussians", num_samples=50)
    assert record.data.name == "25gaussians" and "kl" not in record.metrics and record.likelihood == ()


def test_published_moments_give_the_frechet_distance_alone(tmp_path: Path) -> None:
    features = extract(DIGITS.test.images(), load_extractor("cnn8")).double()
    np.savez(tmp_path / "stats.npz", mu=features.mean(0).numpy(), sigma=np.cov(features.numpy().T))
    record, whole = evaluate(digits(500), against=tmp_path / "stats.npz"), evaluate(digits(500), data="digits")
    assert record.metrics.keys() == {"fd"} and record.beside is None
    assert record.metrics["fd"].value == pytest.approx(whole.metrics["fd"].value, rel=1e-6)
    assert (record.data.name, record.data.split, record.data.n) == ("stats.npz", "moments", 0)
    assert any("only a Fréchet distance" in warning for warning in record.warnings)
    with pytest.raises(InvalidSamples, match="moments of 16 features, rand28 gives 64: choose the --extractor"):
        evaluate(digits(500), against=tmp_path / "stats.npz", extractor="rand28")


# What is said


def test_a_second_extractor_stands_beside_one_that_was_fitted_to_the_data() -> None:
    record = evaluate(digits(60), data="digits")
    assert (record.extractor.name, record.beside.extractor.name) == ("cnn8", "rand28")
    assert record.beside.metrics.keys() >= {"fd", "fd_debiased", "kid", "precision"}
    assert evaluate(digits(60), data="digits", extractor="rand28").beside is None
    assert evaluate(digits(60), data="digits", beside="none").beside is None
    other = evaluate(digits(60), data="digits", extractor="rand28", beside="cnn8")
    assert other.beside.metrics["fd"] == record.metrics["fd"]


def test_what_was_done_to_pictures_is_in_the_record_and_its_warnings(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(noise(12, 9, 9, 3)[i].numpy()).save(tmp_path / f"{i:02}.png")
    record = evaluate(tmp_path, data="digits", resize="lanczos")
    said = "12 of 12 images resized to 8x8 (lanczos, antialiased)"
    assert said in record.data.preparation and any(said in warning for warning in record.warnings)
    with pytest.raises(InvalidSamples, match=r"12 of 12 images .* cannot be used, first 00\.png: it is 9x9, not 8x8"):
        evaluate(tmp_path, data="digits", resize="none")
    assert evaluate(digits(60), data="digits").data.preparation is None


def test_unequal_sizes_are_cut_to_the_smaller_and_it_is_said() -> None:
    record = evaluate(digits(60), data="digits")
    assert (record.sampling.n, record.data.n) == (60, 60)
    assert any("60 generated, 500 real" in warning for warning in record.warnings)
    assert any("low_n" in warning for warning in record.warnings)


def test_copies_are_looked_for_among_the_training_images() -> None:
    copies, fresh = (evaluate(f"digits:{split}", data="digits", beside="none") for split in ("train", "test"))
    assert copies.metrics["exact_duplicates"].value == 500 and fresh.metrics["exact_duplicates"].value < 10
    assert copies.metrics["auth_pct"].value < fresh.metrics["auth_pct"].value


# Bad input


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


def test_every_argument_is_documented() -> None:
    for name in inspect.signature(evaluate).parameters:
        assert f"\n        {name}: " in evaluate.__doc__


def test_samples_with_more_levels_than_the_data_are_rounded_and_stand_apart_from_those_on_them() -> None:
    found = evaluate(noise(60, 8, 8, 1), data="digits", beside="none")
    said = "samples: 60 of 60 images rounded to 17 levels"
    assert (found.data.preparation, found.data.levels) == (said, 17) and said in found.warnings
    on_them = evaluate(digits(60), data="digits", beside="none")
    assert comparable(found, on_them) == [f"preparation differs: {said} and None"]
    levels = quantise(to_unit(noise(60, 8, 8, 1), 256), 17)
    assert found.metrics == evaluate(levels, data="digits", beside="none").metrics
