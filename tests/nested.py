"""Trainings for tests that ask for a trained model: one that is finished, or one that comes first."""

from pathlib import Path
from typing import Any

import pytest
from conditional import conditional_zoo
from small import config

from genzoo.config import TrainConfig
from genzoo.jobs import execute, prepare
from genzoo.run import Run
from genzoo.training import Upkeep

ZOO = conditional_zoo()
NESTED = {"model": "normal", "set": {"log_std": 1.0}, "budget": "5steps", "batch_size": 8}


def normal(reference: Any = None, **changes: Any) -> TrainConfig:
    options = {} if reference is None else {"trainer_options": {"reference": reference}}
    return config(**{"model": "normal", "data": "8gaussians", "batch_size": 8, **options, **changes})


def trained(asked: TrainConfig, out: Path) -> Run:
    job = prepare(ZOO, asked)
    execute(job, out / job.id, Upkeep(resume=True))
    run = Run.open(out / job.id)
    run.zoo = ZOO
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(normal(), tmp_path_factory.mktemp("first")).folder
