"""The README's examples run as they stand, and its tables are what the records say."""

import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest
import torch

from genzoo.config import Budget, TrainConfig
from genzoo.data import load
from genzoo.jobs import prepare, prepare_sampler
from genzoo.sampling import draw
from genzoo.suites import expand, load_suite, shipped_suites
from genzoo.training import fit
from genzoo.zoo import Zoo

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BENCHMARKS = (ROOT / "benchmarks" / "README.md").read_text()
LIBRARY, PLUGIN = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_library_example_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(LIBRARY, names)
    assert names["images"].shape == (64, 8, 8, 1)
    assert names["images"].dtype == torch.uint8
    assert names["record"].metrics["fd_debiased"].value > 0


@pytest.fixture
def zoo() -> Zoo:
    """The installed plugins and the README's."""
    plugin = ModuleType("readme_plugin")
    exec(PLUGIN, vars(plugin))
    zoo = Zoo.load()
    zoo.register(plugin, "readme")
    return zoo


def test_the_plugin_has_no_more_lines_than_it_says() -> None:
    code = [line for line in PLUGIN.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(code) <= 20


def test_the_plugin_learns_and_is_walked_on(zoo: Zoo) -> None:
    config = TrainConfig(
        model="learned-mixture", data="8gaussians", budget=Budget(300, "steps"), trainer_options={"lr": 0.02}
    )
    job = prepare(zoo, config)
    x = job.data.test.x()[:2000]
    before = job.model.log_prob(x).mean()
    model = fit(job.model, job.trainer, job.data.train, job.config).model
    assert model.log_prob(x).mean() > before + 1
    walked = draw(prepare_sampler(zoo, model, "learned-mixture", None, {}), model, 500, seed=0)
    assert load("8gaussians").density.log_prob(walked.x).median() > -4


def test_the_suite_of_one_s_own_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(re.findall(r"```yaml\n(.*?)```", BENCHMARKS, re.DOTALL)[0])
    suite = load_suite(tmp_path / "mine.yaml")
    plans = [plan for plans in expand(suite) for plan in plans]
    assert len(plans) == 3 * len(suite.seeds)
    for plan in plans:
        prepare(Zoo.load(), plan.train)


def test_every_shipped_suite_is_told_of() -> None:
    assert all(f"`{name}`" in BENCHMARKS for name in shipped_suites())


def test_the_tables_are_those_of_the_committed_records() -> None:
    tables = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
    for page in tables["PAGES"]:
        assert tables["fill"](page.read_text()) == page.read_text()
