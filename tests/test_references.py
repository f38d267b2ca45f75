"""Trained models as options: of a finished run, or of a training that comes first and is shared."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conditional import Fit, Normal
from nested import NESTED, ZOO, finished, normal, trained
from omegaconf import OmegaConf
from safetensors.torch import load_file
from small import names

from genzoo.capabilities import Density, Energy
from genzoo.config import SampleConfig, TrainConfig
from genzoo.errors import GenZooError, InvalidConfig, InvalidOption, MissingCapability, RunError, UnknownName
from genzoo.evaluation.parts import ReferencePart
from genzoo.jobs import Job, execute, prepare
from genzoo.listing import description
from genzoo.run import Run
from genzoo.trained import CONFIG, COST, WEIGHTS

__all__ = ["finished"]


GAPS = '{"seconds": 1, "parameters": {"total": 3}, "references": {"a": {}}}'


def reference_of(job: Job) -> Normal:
    assert isinstance(job.trainer, Fit) and isinstance(job.trainer.reference, Normal)
    return job.trainer.reference


def refused(kind: type[GenZooError], asked: TrainConfig) -> str:
    with pytest.raises(kind) as caught:
        prepare(ZOO, asked)
    assert caught.value.status == 2 and "\n" not in str(caught.value)
    return str(caught.value)


# Of a finished run


def test_the_factory_receives_the_trained_model_itself(finished: Path) -> None:
    model = reference_of(prepare(ZOO, normal(f"run:{finished}")))
    weights = load_file(finished / WEIGHTS)
    assert torch.equal(model.mean, weights["mean"]) and weights["mean"].abs().sum() > 0
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_id_follows_the_weights_and_not_the_folder(finished: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "elsewhere"))
    same, there = prepare(ZOO, normal(f"run:{finished}")), prepare(ZOO, normal(f"run:{copy}"))
    assert same.id == there.id != prepare(ZOO, normal()).id
    other = trained(normal(seed=1), tmp_path)
    shutil.copy(other.folder / WEIGHTS, copy / WEIGHTS)
    assert prepare(ZOO, normal(f"run:{copy}")).id != same.id


def test_the_configuration_keeps_what_was_asked(finished: Path, tmp_path: Path) -> None:
    run = trained(normal(f"run:{finished}"), tmp_path)
    kept: Any = OmegaConf.to_container(OmegaConf.load(run.folder / CONFIG))
    assert kept["config"]["trainer_options"]["reference"] == f"run:{finished}"
    assert names(tmp_path) == [run.id] and run.sample(3).shape == (3, 2)


# Of a training that comes first


def test_a_nested_training_comes_first_and_is_shared(tmp_path: Path) -> None:
    asked = normal(NESTED)
    job = prepare(ZOO, asked)
    assert reference_of(job).mean.abs().sum() == 0  # nothing is trained before the work begins
    first = trained(asked, tmp_path)
    (nested,) = {*names(tmp_path)} - {first.id}
    told = Run.open(tmp_path / nested)
    assert told.config.data == "8gaussians" and str(told.config.budget) == "5steps" and told.config.batch_size == 8
    before = (tmp_path / nested / WEIGHTS).stat().st_mtime_ns
    second = trained(normal(NESTED, trainer_options={"reference": NESTED, "lr": 0.5}), tmp_path)
    assert len(names(tmp_path)) == 3 and second.id != first.id
    assert (tmp_path / nested / WEIGHTS).stat().st_mtime_ns == before


def test_it_is_the_trained_model_that_trains_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    losses = Fit.losses

    def watched(self: Fit, model: Any, batches: Any) -> Any:
        if self.reference is not None:
            seen.append(self.reference.mean.clone())  # type: ignore[attr-defined]
        return losses(self, model, batches)

    monkeypatch.setattr(Fit, "losses", watched)
    run = trained(normal(NESTED), tmp_path)
    (nested,) = {*names(tmp_path)} - {run.id}
    weights = load_file(tmp_path / nested / WEIGHTS)
    assert all(torch.equal(mean, weights["mean"]) for mean in seen) and len(seen) == 20
    assert weights["mean"].abs().sum() > 0


def test_the_id_follows_the_nested_configuration_with_its_defaults_filled_in() -> None:
    spelt = {**NESTED, "trainer": "fit", "trainer_set": {"lr": 1e-2}}
    assert prepare(ZOO, normal(NESTED)).id == prepare(ZOO, normal(spelt)).id
    others = [{**NESTED, "budget": "6steps"}, {**NESTED, "set": {}}, {**NESTED, "batch_size": 16}]
    ids = {prepare(ZOO, normal(other)).id for other in others}
    assert len({*ids, prepare(ZOO, normal(NESTED)).id, prepare(ZOO, normal()).id}) == 5


def test_data_and_seed_are_those_of_what_needs_it() -> None:
    (one, other) = (prepare(ZOO, normal(NESTED, seed=seed)).references["reference"].identity for seed in (0, 1))
    assert one != other


def test_a_nested_training_may_need_another(tmp_path: Path) -> None:
    run = trained(normal({**NESTED, "trainer_set": {"reference": NESTED}}), tmp_path)
    assert len(names(tmp_path)) == 3
    assert list(run.cost["references"]) == ["reference", "reference/reference"]
    first, second = (ReferencePart(**part) for part in run.cost["references"].values())
    assert first.training != second.training and second.seconds > 0


def test_what_references_needed_in_turn_is_added_too_each_once(tmp_path: Path) -> None:
    """``between`` was trained against ``first``, and ``last`` against both: the one is an option of the other."""
    first = trained(normal(), tmp_path)
    between = trained(normal(f"run:{first.folder}"), tmp_path)
    last = trained(normal(f"run:{between.folder}"), tmp_path)
    record = last.score(SampleConfig(num_samples=300))
    own, *needed = (run.cost for run in (last, between, first))
    assert record.training is not None and record.model.parameters is not None
    assert record.training.seconds == pytest.approx(own["seconds"] + sum(cost["seconds"] for cost in needed))
    assert record.training.flops == pytest.approx(own["flops"] + sum(cost["flops"] for cost in needed))
    assert record.model.parameters.training == 3 * 3 and record.model.parameters.total == 3

    path = last.folder / COST
    again = {**own["references"]["reference/reference"], "id": first.id}  # as a nested training names it
    path.write_text(json.dumps({**own, "references": {**own["references"], "other": again}}))
    same = Run.open(last.folder)
    same.zoo = ZOO
    counted = same.score(SampleConfig(num_samples=200)).training
    assert counted is not None and counted.seconds == record.training.seconds and len(counted.references or {}) == 3


def test_what_it_took_is_listed_and_added(finished: Path, tmp_path: Path) -> None:
    run = trained(normal(f"run:{finished}"), tmp_path)
    record = run.score(SampleConfig(num_samples=300))
    first, own = (json.loads((folder / COST).read_text()) for folder in (finished, run.folder))
    assert record.training is not None and record.training.references is not None
    part = record.training.references["reference"]
    assert (part.model, part.seconds, part.parameters) == ("normal", first["seconds"], 3)
    assert record.training.seconds == own["seconds"] + first["seconds"]
    assert trained(normal(), tmp_path).score(SampleConfig(num_samples=300)).training.references is None  # type: ignore[union-attr]


def test_a_nested_training_lies_beside_a_run_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    job = prepare(ZOO, normal(NESTED))
    execute(job, Path())
    assert names(tmp_path) == ["mine", job.references["reference"].identity]
    assert CONFIG in names(tmp_path / "mine")


def test_a_nested_model_is_where_this_process_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run trains against it before it has weights."""
    monkeypatch.setattr("genzoo.references.this_process", lambda: SimpleNamespace(device=torch.device("meta")))
    assert reference_of(prepare(ZOO, normal(NESTED))).mean.is_meta


# Refused before any work


def test_a_folder_that_is_no_finished_run_is_refused(finished: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert refused(RunError, normal(f"run:{nowhere}")).startswith(f"{nowhere} is not a run, it has no {CONFIG}")
    half = Path(shutil.copytree(finished, tmp_path / "half"))
    (half / WEIGHTS).unlink()
    assert refused(RunError, normal(f"run:{half}")).startswith(f"{half} is half written, it has no {WEIGHTS}")


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", '{"seconds": 1, "parameters": {"total": 3}, "references": {"a": {}}}']
)
def test_a_run_that_does_not_say_what_it_took_is_refused(finished: Path, tmp_path: Path, text: str) -> None:
    untold = Path(shutil.copytree(finished, tmp_path / "untold"))
    (untold / COST).write_text(text)
    told = refused(RunError, normal(f"run:{untold}"))
    assert told == f"{untold / COST} is missing or damaged: train again with another --out"


def test_what_a_nested_training_took_is_known_before_the_next_one_begins(tmp_path: Path) -> None:
    job = prepare(ZOO, normal(NESTED))
    nested = job.references["reference"]
    execute(nested.job, nested.place(tmp_path / job.id))
    (nested.place(tmp_path / job.id) / COST).unlink()
    with pytest.raises(RunError, match="is missing or damaged"):
        execute(job, tmp_path / job.id)
    assert job.id not in names(tmp_path)


def test_a_run_of_another_shape_is_refused(finished: Path) -> None:
    told = refused(InvalidConfig, normal(f"run:{finished}", data="digits"))
    assert told == f"fit: reference: {finished} is of examples (2,), digits has (1, 8, 8)"


def test_a_run_of_other_data_of_the_shape_is_taken(finished: Path) -> None:
    assert reference_of(prepare(ZOO, normal(f"run:{finished}", data="spirals"))).shape == (2,)


def test_a_model_that_lacks_the_capability_is_refused() -> None:
    told = refused(MissingCapability, normal({"model": "diffusion", "budget": "1steps"}))
    assert told.startswith("diffusion offers NoisePredictor; fit: reference needs Density")


@pytest.mark.parametrize(
    ("nested", "kind", "told"),
    [
        ({"model": "normal", "bugdet": "5s"}, InvalidConfig, "unknown key 'bugdet'; did you mean 'budget'?"),
        ({"model": "normal"}, InvalidConfig, "fit: reference: key 'budget' is missing"),
        ({"budget": "5s"}, InvalidConfig, "fit: reference: key 'model' is missing"),
        ({"model": "normal", "budget": "5"}, InvalidConfig, "budget '5' is no number with a unit"),
        ({"model": "norml", "budget": "5s"}, UnknownName, "unknown model 'norml'; did you mean 'normal'?"),
        ({"model": "normal", "budget": "5s", "set": {"std": 1}}, InvalidOption, "model 'normal' has no option 'std'"),
        ({"model": "normal", "budget": "5s", "data": "digits"}, InvalidConfig, "unknown key 'data'"),
        ("runs/mine", InvalidOption, "reference='runs/mine' is not Density (run:FOLDER or {model: NAME, budget: 60s})"),
        (3, InvalidOption, "trainer 'fit': reference=3 is not Density"),
    ],
)
def test_a_wrong_reference_costs_one_line(nested: Any, kind: type[GenZooError], told: str) -> None:
    assert told in refused(kind, normal(nested))


# As an option


def test_none_is_taken_where_the_annotation_says_so() -> None:
    assert prepare(ZOO, normal()).trainer.reference is None  # type: ignore[attr-defined]
    assert prepare(ZOO, normal()).references == {}


def test_the_zoo_knows_which_options_take_a_model() -> None:
    assert ZOO.references("trainer", "fit") == {"reference": (Density,)}
    assert ZOO.references("trainer", "noise") == {}


def test_a_library_may_hand_over_a_model() -> None:
    model = Normal((2,))
    assert ZOO.trainer("fit", {"reference": model}).reference is model
    with pytest.raises(InvalidOption, match="reference=Linear"):
        ZOO.trainer("fit", {"reference": torch.nn.Linear(1, 1)})


def test_a_conversion_counts() -> None:
    from inspect import Parameter

    from genzoo.options import resolve

    wanted = {"energy": Parameter("energy", Parameter.KEYWORD_ONLY, annotation=Energy)}
    model = Normal((2,))
    assert resolve(wanted, {"energy": model}, "it")["energy"] is model  # a Density is an Energy
    with pytest.raises(InvalidOption, match="it needs option 'energy': Energy"):
        resolve(wanted, {}, "it")


def test_info_says_what_may_be_given() -> None:
    assert "Density (run:FOLDER or {model: NAME, budget: 60s}) | None" in description(ZOO, "trainer", "fit")
