"""From samples to a record: what is stored and what is measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import family, job

from genzoo import scoring
from genzoo.config import SampleConfig
from genzoo.data import Data, load
from genzoo.errors import FolderInUse, MissingCapability, SamplingFailed, StorageError, TrainingFailed
from genzoo.evaluation import content_hash, read_record
from genzoo.evaluation.parts import Likelihood
from genzoo.hookspecs import hookimpl
from genzoo.protocols import Comparison, Measurement
from genzoo.records import Drawn, Subject, named
from genzoo.sampling import Samples
from genzoo.standards import Panel, of_data
from genzoo.zoo import Zoo

DIGITS, POINTS = load("digits"), load("8gaussians")


MINE = Subject("model", named("mine"))


# What is stored


def test_images_are_finished_to_levels_and_points_are_left_alone() -> None:
    x = DIGITS.test.x()[:5]
    assert torch.equal(scoring.finish(x + 0.01, DIGITS), DIGITS.test.images()[:5])
    points = POINTS.test.x()[:5]
    assert scoring.finish(points, POINTS) is points


def test_samples_are_kept_as_others_read_them_with_a_picture(tmp_path: Path) -> None:
    images = DIGITS.test.images()[:70]
    digest = scoring.store_samples(tmp_path / "new", images)
    with np.load(tmp_path / "new" / "samples.npz", allow_pickle=False) as kept:
        assert np.array_equal(kept["arr_0"], images.numpy())
    with Image.open(tmp_path / "new" / "samples.png") as picture:
        assert picture.size == (8 * 36 + 4, 8 * 36 + 4)  # 64 digits of 8 pixels, each four wide, a line between
    assert digest == scoring.store_samples(tmp_path / "again", images)
    assert digest != scoring.store_samples(tmp_path / "other", images[:69])


def test_points_are_kept_as_numbers_with_a_scatter_plot(tmp_path: Path) -> None:
    points = POINTS.test.points()[:500]
    for name in ("points.png", "points.npz"):
        scoring.save_samples(points, tmp_path / name)
    with np.load(tmp_path / "points.npz", allow_pickle=False) as kept:
        assert np.array_equal(kept["arr_0"], points.numpy())
    ink = 255 - np.asarray(Image.open(tmp_path / "points.png"), dtype=float)
    assert ink.shape == (320, 320) and ink[150:170, 150:170].sum() == 0 and ink.sum() > 0


def test_the_scatter_plot_stands_upright(tmp_path: Path) -> None:
    scoring.save_samples(torch.tensor([[-2.0, 2.0]]), tmp_path / "one.png")
    ((row, column),) = np.argwhere(np.asarray(Image.open(tmp_path / "one.png")) < 255)
    assert row < 160 and column < 160  # left and above


# What is measured


def test_the_protocol_takes_as_many_images_as_there_are_to_test_and_ten_thousand_points() -> None:
    assert (scoring.protocol_samples(DIGITS), scoring.protocol_samples(POINTS)) == (500, 10_000)
    assert (scoring.extractor_name(DIGITS, None), scoring.extractor_name(DIGITS, "rand28")) == ("cnn8", "rand28")
    assert scoring.extractor_name(POINTS, "cnn8") is None and scoring.load_extractor(None) is None


def test_a_sample_set_is_resolved_against_its_model() -> None:
    model = job(family("ddpm")).model
    plain = scoring.resolve(Zoo.load(), model, family("ddpm"), POINTS, SampleConfig()).config
    assert (plain.sampler, plain.num_samples, plain.extractor) == ("ddpm", 10_000, None)
    assert plain.options == {"num_steps": 1000}
    with pytest.raises(MissingCapability, match="ddpm offers NoisePredictor; langevin needs Score"):
        scoring.resolve(Zoo.load(), model, family("ddpm"), POINTS, SampleConfig(sampler="langevin"))


def test_sample_sets_have_folders_of_their_own(tmp_path: Path) -> None:
    model, zoo = job(family("ddpm")).model, Zoo.load()
    asked = [SampleConfig(), SampleConfig(seed=1), SampleConfig(options={"num_steps": 9}), SampleConfig(num_samples=9)]
    resolved = [scoring.resolve(zoo, model, family("ddpm"), POINTS, config).config for config in [*asked, *asked]]
    folders = [scoring.folder_of(zoo, tmp_path, "ddpm-8gaussians-1", config) for config in resolved]
    assert len(set(folders)) == 4 and folders[:4] == folders[4:]
    assert {folder.parent for folder in folders} == {tmp_path / "samples"}


def test_sample_sets_that_are_judged_otherwise_have_folders_of_their_own(tmp_path: Path) -> None:
    config = SampleConfig(sampler="ddim", num_samples=9, extractor="cnn8")

    def folder(**asked: Any) -> Path:
        judging = scoring.Judging(**asked) if asked else None
        return scoring.folder_of(Zoo.load(), tmp_path, "ddpm-digits-1", config, judging)

    usual: list[dict[str, Any]] = [{"beside": "rand28"}, {"likelihood_images": 256}, {"extractor_weights": Path("w")}]
    assert {folder(**asked) for asked in usual} == {folder()}
    unusual: list[dict[str, Any]] = [{"beside": "none"}, {"likelihood_images": 8}, {"full_likelihood": True}]
    assert len({folder(), *(folder(**asked) for asked in unusual)}) == 4


def drawn(x: torch.Tensor, data: Data) -> Drawn:
    num_bad = int((~x.flatten(1).isfinite().all(1)).sum())
    config = SampleConfig(sampler="mine", num_samples=len(x))
    return Drawn(config, Samples(x, None, None, num_bad, 0), scoring.finish(x, data))


def test_samples_that_are_not_finite_are_not_measured() -> None:
    x = torch.randn(20, 2)
    x[3, 1] = float("nan")
    with pytest.raises(SamplingFailed, match="1 of 20 samples are not finite: nothing is measured") as caught:
        scoring.measure(drawn(x, POINTS), of_data(POINTS), Panel())
    assert caught.value.status == 1  # work had begun


def test_a_record_is_of_what_was_drawn_and_stands_beside_the_samples(tmp_path: Path) -> None:
    x = POINTS.test.x()[:50]
    findings = scoring.measure(drawn(x, POINTS), of_data(POINTS), Panel())
    record = scoring.record(MINE, drawn(x, POINTS), findings, folder=tmp_path)
    assert read_record(tmp_path / "record.json") == record
    assert record.sampling.n == record.data.n == 50 and record.extractor is None
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as kept:
        assert record.sampling.sha256 == content_hash(torch.from_numpy(kept["arr_0"]))


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    some = drawn(POINTS.test.x()[:50], POINTS)
    scoring.record(MINE, some, scoring.measure(some, of_data(POINTS), Panel()))
    assert list(tmp_path.iterdir()) == []


def test_the_panel_has_a_second_extractor_where_the_first_was_fitted_to_training_data() -> None:
    def names(extractor: str | None, beside: str | None = None) -> list[str]:
        panel = scoring.Judging(beside=beside).panel(Zoo.load(), extractor)
        return [one.name for one in panel.extractors]

    assert names("cnn8") == ["cnn8", "rand28"] and names("cnn28") == ["cnn28", "rand28"]
    assert names("rand28") == names("rand28", "rand28") == ["rand28"] and names(None) == []
    assert names("cnn8", "none") == ["cnn8"] and names("rand28", "cnn8") == ["rand28", "cnn8"]


def test_the_metrics_of_plugins_are_measured_as_well() -> None:
    class Plugin:
        @hookimpl
        def genzoo_metrics(self) -> dict[str, object]:
            return {"brightness": lambda: brightness}

    def brightness(comparison: Comparison) -> Measurement:
        return Measurement(comparison.generated.images.float().mean().item(), "lower", "mean level")

    zoo = Zoo.load()
    zoo.register(Plugin(), "light")
    panel = scoring.Judging(beside="none").panel(zoo, "cnn8")
    assert list(panel.metrics) == ["brightness"]
    images = DIGITS.test.images()
    found = of_data(DIGITS).measure(images, panel).metrics["brightness"]
    assert found.value == pytest.approx(images.float().mean().item()) and found.how == "mean level"


def test_the_divergence_comes_from_a_likelihood_in_nats_where_the_density_is_known() -> None:
    entropy = -POINTS.density.log_prob(POINTS.test.points()).mean().item()
    exact = Likelihood(value=entropy + 0.3, unit="nats", kind="exact", se=0.01, n=10_000)
    assert scoring.divergence((exact,), POINTS)["kl"].value == pytest.approx(0.3, abs=1e-5)
    none = Likelihood(value=None, unit="nats", kind="none", reason="a GAN")
    assert scoring.divergence((none, exact), POINTS) == {}
    assert scoring.divergence((exact,), DIGITS) == scoring.divergence((exact,), replace(POINTS, density=None)) == {}


def test_likelihoods_are_of_so_many_fixed_test_images_and_of_all_points() -> None:
    assert len(scoring.held_out(DIGITS, 20)) == 20 and len(scoring.held_out(POINTS, 20)) == 10_000
    first, again = scoring.held_out(DIGITS, 20), scoring.held_out(DIGITS, 20)
    assert torch.equal(first.x, again.x) and first.y is not None and torch.equal(first.y, again.y)


@pytest.mark.parametrize("data", [DIGITS, POINTS], ids=["digits", "8gaussians"])
def test_references_stand_at_both_ends(data: object, tmp_path: Path) -> None:
    config = SampleConfig(num_samples=400)
    floor, ceiling = (scoring.reference(role, data, config, tmp_path) for role in ("floor", "ceiling"))
    assert (floor.role, floor.model.name) == ("floor", "gaussian")
    assert (ceiling.role, ceiling.model.name) == ("ceiling", "train-vs-test")
    headline = "fd_debiased" if data is DIGITS else "sliced_w2"
    assert ceiling.metrics[headline].value < 0.5 * floor.metrics[headline].value
    assert floor.sampling.n == ceiling.sampling.n == 400
    for role, record in (("floor", floor), ("ceiling", ceiling)):
        assert read_record(scoring.reference_folder(role, data, config, tmp_path) / "record.json") == record


def test_a_ceiling_seen_by_an_extractor_that_was_fitted_to_it_says_so(tmp_path: Path) -> None:
    said = "cnn8 was fitted to the training split of digits: train-vs-test is an optimistic ceiling"
    floor, ceiling = (scoring.reference(role, DIGITS, SampleConfig(), tmp_path) for role in ("floor", "ceiling"))
    assert said in ceiling.warnings and said not in floor.warnings
    assert ceiling.beside.extractor.name == "rand28" and ceiling.metrics["exact_duplicates"].value == 500
    plain = scoring.reference("ceiling", DIGITS, SampleConfig(extractor="rand28", num_samples=100), tmp_path)
    assert not [warning for warning in plain.warnings if "optimistic" in warning]


def test_the_folder_of_a_reference_has_a_short_name_however_long_the_data_s_is(tmp_path: Path) -> None:
    data = replace(POINTS, name="folder:/" + "long/" * 100)
    folder = scoring.reference_folder("floor", data, SampleConfig(), tmp_path)
    folder.mkdir(parents=True)
    assert folder.parent.parent.parent == tmp_path
    assert scoring.reference_folder("floor", DIGITS, SampleConfig(), tmp_path).parts[-3] == "gaussian-digits"


def test_a_failed_run_is_a_record_with_its_reason_in_one_line() -> None:
    config = family("vae", budget="3steps")
    told = scoring.failed(config, SampleConfig(), POINTS, TrainingFailed("the loss is\nnan"))
    assert (told.status, told.reason, told.model.name) == ("failed", "the loss is nan", "vae")
    assert scoring.failed(config, SampleConfig(), POINTS, KeyError("lost")).reason == "KeyError: 'lost'"
    assert told.model.options == {"width": 8, "latent": 2} and told.metrics == {}


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "samples").write_text("in the way")
    with pytest.raises((StorageError, FolderInUse)):
        scoring.store_samples(tmp_path / "samples", DIGITS.test.images()[:3])
    assert (tmp_path / "samples").read_text() == "in the way"
