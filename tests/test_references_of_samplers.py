"""Trained models as options of a sampler."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conditional import WalkBack, conditional_zoo
from nested import NESTED, ZOO, finished, trained
from small import config, names

from genzoo.capabilities import NoisyClassifier
from genzoo.config import SampleConfig
from genzoo.data import load
from genzoo.drawing import Drawing, prepare_drawing
from genzoo.errors import InvalidConfig
from genzoo.hookspecs import hookimpl
from genzoo.jobs import prepare

__all__ = ["finished"]


@dataclass(frozen=True, kw_only=True)
class Judged(WalkBack):
    """With a classifier that guidance knows nothing of."""

    classifier: NoisyClassifier | None = None


def test_a_sampler_s_option_is_trained_first_too(tmp_path: Path) -> None:
    run = trained(config(model="diffusion", data="8gaussians", batch_size=8), tmp_path)
    plain = run.sample(5, sampler="descend")
    guided = run.sample(5, sampler="descend", options={"reference": NESTED})
    assert not torch.equal(plain, guided) and len(names(tmp_path)) == 2
    record = run.score(SampleConfig(sampler="descend", options={"reference": NESTED}, num_samples=300))
    assert record.sampling is not None and record.sampling.references is not None
    assert record.sampling.references["reference"].model == "normal"
    alone = run.score(SampleConfig(sampler="descend", num_samples=300))
    assert alone.sampling is not None and alone.model.parameters is not None and record.model.parameters is not None
    assert record.model.parameters.generator == alone.model.parameters.generator + 3
    assert (alone.sampling.calls_per_sample, record.sampling.calls_per_sample) == (3, 4)


def test_how_large_it_is_is_known_before_it_is_drawn_from() -> None:
    asked = config(model="diffusion", data="8gaussians")
    data = load("8gaussians")
    model = prepare(ZOO, asked, data).model

    def parameters(**options: Any) -> int:
        drawn = SampleConfig(sampler="descend", options=options)
        return prepare_drawing(ZOO, model, asked, data, drawn).parameters(model)

    assert parameters(reference=NESTED) == parameters() + 3


def test_an_option_is_not_mistaken_for_the_classifier_that_guides(tmp_path: Path) -> None:
    zoo = conditional_zoo()
    zoo.register(SimpleNamespace(genzoo_samplers=hookimpl(lambda: {"judged": Judged})), "judged")
    asked, data = config(model="diffusion", data="digits"), load("digits")
    model, judge = prepare(zoo, asked, data).model, {"model": "noisy-classifier", "budget": "2steps"}

    def drawing(**more: Any) -> Drawing:
        drawn = SampleConfig(sampler="judged", options={"classifier": judge}, **more)
        return prepare_drawing(zoo, model, asked, data, drawn)

    assert list(drawing().references) == ["classifier"] and drawing().guidance is None
    with pytest.raises(InvalidConfig, match="judged has an option 'classifier' of its own: leave out the classifier"):
        drawing(guidance=1.0, classifier=judge)


def test_sample_sets_are_told_apart_by_weights(finished: Path, tmp_path: Path) -> None:
    from genzoo.scoring import folder_of

    trained_as = config(model="diffusion", data="8gaussians")
    data = load("8gaussians")
    model = prepare(ZOO, trained_as, data).model
    copy = Path(shutil.copytree(finished, tmp_path / "elsewhere"))

    def folder(reference: Any) -> Path:
        asked = SampleConfig(sampler="descend", options={"reference": reference})
        return folder_of(ZOO, tmp_path, "run", prepare_drawing(ZOO, model, trained_as, data, asked).config)

    here, there, nested, none = map(folder, (f"run:{finished}", f"run:{copy}", NESTED, None))
    assert here == there and len({here, nested, none}) == 3
