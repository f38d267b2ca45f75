"""What is drawn from a conditional run: by label, guided, with the files, records and refusals that follow."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conditional import conditional_zoo
from small import config

from genzoo.config import SampleConfig, sample_id
from genzoo.errors import GenZooError, InvalidConfig, MissingCapability
from genzoo.evaluation import read_record
from genzoo.jobs import execute, prepare
from genzoo.run import Run

ZOO = conditional_zoo()


def trained(out: Path, **asked: Any) -> Run:
    job = prepare(ZOO, config(**{"data": "digits", "batch_size": 16, **asked}))
    execute(job, out / job.id)
    run = Run.open(out / job.id)
    run.zoo = ZOO
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = tmp_path_factory.mktemp("runs")
    return {
        "conditional": trained(out, model="diffusion", model_options={"conditional": True}, budget="60steps"),
        "plain": trained(out, model="diffusion"),
        "classifier": trained(out, model="noisy-classifier", budget="60steps"),
    }


def refused(kind: type[GenZooError], call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments, **named)
    assert caught.value.status == 2 and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_conditional_model_needs_data_with_labels() -> None:
    asked = config(model="diffusion", data="spirals", model_options={"conditional": True})
    told = refused(GenZooError, prepare, ZOO, asked)
    assert told == "model 'diffusion': conditional=true needs data with labels"


def test_one_class_or_some_or_all_of_them(runs: dict[str, Run]) -> None:
    run = runs["conditional"]
    threes, chosen = (run.draw(SampleConfig(num_samples=4), labels) for labels in (3, [3, 3, 3, 3]))
    assert threes.samples.labels is not None and threes.samples.labels.tolist() == [3] * 4
    assert torch.equal(threes.samples.x, chosen.samples.x)
    assert torch.equal(run.sample(4, labels=np.int64(3)), threes.finished)  # type: ignore[arg-type]
    assert not torch.equal(run.sample(4, labels=3), run.sample(4, labels=5))
    assert run.draw(SampleConfig(num_samples=12)).samples.labels.tolist() == [*range(10), 0, 1]  # type: ignore[union-attr]


def test_a_score_keeps_the_labels_and_says_how_many_are_right(runs: dict[str, Run]) -> None:
    run = runs["conditional"]
    record = run.score(SampleConfig(num_samples=60))
    (folder,) = (path.parent for path in run.folder.glob("samples/*/record.json") if read_record(path) == record)
    with np.load(folder / "samples.npz", allow_pickle=False) as kept:
        assert kept["arr_1"].tolist() == [i % 10 for i in range(60)]
    accuracy = record.metrics["class_accuracy"]
    assert accuracy.value is not None and 0 <= accuracy.value <= 1 and accuracy.interval is not None
    assert accuracy.expected is not None and accuracy.expected > 0.9
    assert [found.kind.endswith("given labels") for found in record.likelihood] == [True, True]
    assert "class_accuracy" not in runs["plain"].score(SampleConfig(num_samples=60)).metrics


def test_labels_go_the_whole_way(tmp_path: Path) -> None:
    """From the data through the loss, the weights, the drawing and the file to the classifier's verdict."""
    run = trained(tmp_path, model="clusters", budget="150steps", batch_size=64)
    record = run.score(SampleConfig(num_samples=200))
    assert record.metrics["class_accuracy"].value > 0.5  # blind, 0.1
    given, *_ = record.likelihood
    assert given.kind == "lower bound (uniform dequantisation), given labels"
    classes = run.sample(200, labels=torch.arange(200) % 10)
    assert torch.equal(classes, run.sample(200))
    swapped = run.sample(200, labels=(torch.arange(200) + 1) % 10)
    assert not torch.equal(swapped, classes)


def test_guidance_is_recorded_and_costs_what_it_costs(runs: dict[str, Run]) -> None:
    run = runs["conditional"]
    plain, guided = (run.score(SampleConfig(num_samples=60, guidance=weight)) for weight in (None, 2.0))
    assert plain.sampling is not None and guided.sampling is not None
    assert (plain.sampling.guidance, guided.sampling.guidance) == (None, 2.0)
    assert (plain.sampling.calls_per_sample, guided.sampling.calls_per_sample) == (10, 20)
    assert plain.sampling.sha256 != guided.sampling.sha256
    assert "guidance" not in plain.sampling.model_dump()  # so that older records keep their ids


def test_a_classifier_guides_a_model_that_knows_no_labels(runs: dict[str, Run]) -> None:
    judge = f"run:{runs['classifier'].folder}"
    record = runs["plain"].score(SampleConfig(num_samples=60, guidance=3.0, classifier=judge))
    assert record.sampling is not None and record.sampling.references is not None
    part = record.sampling.references["classifier"]
    assert part.model == "noisy-classifier" and part.parameters == 660 and part.seconds > 0
    assert record.model.parameters is not None
    assert record.model.parameters.generator == record.model.parameters.total + 660
    alone = runs["plain"].score(SampleConfig(num_samples=60))
    assert record.metrics["class_accuracy"].value > 0.15 and "class_accuracy" not in alone.metrics


def test_a_classifier_may_be_trained_first(runs: dict[str, Run]) -> None:
    run = runs["plain"]
    asked = {"model": "noisy-classifier", "budget": "2steps"}
    images = run.sample(4, guidance=2.0, classifier=asked)
    assert images.shape == (4, 8, 8, 1)
    (nested,) = (path for path in run.folder.parent.iterdir() if path not in {r.folder for r in runs.values()})
    assert Run.open(nested).config.model == "noisy-classifier"


def test_a_wrong_request_costs_one_line(runs: dict[str, Run], tmp_path: Path) -> None:
    conditional, plain, classifier = runs["conditional"], runs["plain"], runs["classifier"]
    told = refused(InvalidConfig, conditional.sample, 4, labels=10)
    assert told == "label 10 is out of range (allowed: 0 to 9)"
    told = refused(InvalidConfig, conditional.sample, 4, labels=[1, 2])
    assert told == "labels are torch.int64 [2]: give 4 whole numbers, one a sample"
    told = refused(InvalidConfig, conditional.sample, 4, labels=True)
    assert told == "labels are torch.bool [4]: give 4 whole numbers, one a sample"
    told = refused(InvalidConfig, conditional.sample, 2, labels=["cat", "dog"])
    assert told == "labels ['cat', 'dog'] are no whole numbers: give one for all samples, or 2, one a sample"
    told = refused(InvalidConfig, plain.sample, 4, labels=1)
    assert told == "the model was trained without labels and takes none: leave out the label"
    told = refused(InvalidConfig, plain.sample, 4, guidance=2.0)
    assert told.startswith("diffusion was trained without labels, guidance=2 has nothing to follow: train it with")
    told = refused(InvalidConfig, conditional.sample, 4, guidance=-1.0)
    assert told == "genzoo.sample: guidance = -1.0: Input should be greater than or equal to 0"
    told = refused(InvalidConfig, plain.sample, 4, classifier=f"run:{classifier.folder}")
    assert told.startswith("a classifier guides as strongly as guidance says, and that is not given")
    told = refused(MissingCapability, plain.sample, 4, guidance=2.0, classifier=f"run:{plain.folder}")
    assert told.startswith("diffusion offers NoisePredictor; classifier needs NoisyClassifier")
    told = refused(InvalidConfig, plain.sample, 4, guidance=2.0, classifier=str(classifier.folder))
    assert told.endswith("is no trained model: give run:FOLDER, or a configuration {model: NAME, budget: 60s}")
    told = refused(MissingCapability, classifier.sample, 4)
    assert told == "noisy-classifier makes no samples: it is for options that take a trained model"


def test_older_sample_sets_keep_their_ids() -> None:
    """Of the time before there was guidance."""
    config = SampleConfig(sampler="ddim", options={"num_steps": 50}, num_samples=500, extractor="cnn8")
    assert sample_id(config, "ddpm-digits-1a2b3c4d", "genzoo-eval/1", {"diffusion": "0.1.0"}) == "ddim-07e0f1c6"
    zero = config.model_copy(update={"guidance": 0.0})
    assert sample_id(zero, "run", "p", {}) != sample_id(config, "run", "p", {})
