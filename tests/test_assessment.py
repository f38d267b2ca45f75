"""Anything can be scored against anything, and what was done to it is said."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scored import DIGITS, digits, images, kept, noise
from small import family

from genzoo.assessment import evaluate
from genzoo.data import load
from genzoo.errors import InvalidConfig, InvalidSamples
from genzoo.evaluation import comparable, extract, load_extractor
from genzoo.images import quantise, to_unit
from genzoo.run import Run, start

__all__ = ["images", "kept"]


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A diffusion model of points, hardly trained."""
    config = family("ddpm", budget="5steps")
    return start(config, tmp_path_factory.mktemp("runs") / "points", progress=False)


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
