"""Plugins for tests: distributions written to a folder on ``sys.path``, found through entry points as real ones are."""

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent

TOY = '''
    """A toy family."""

    from typing import Literal

    from genzoo.hookspecs import hookimpl

    class Model:
        """A model that does nothing."""

        trainer, sampler = "{name}-trainer", "{name}-sampler"

        def __init__(self, shape, *, width: int = 8, schedule: Literal["linear", "cosine"] = "linear"):
            if width > 1000:
                raise ValueError("width is at most 1000")
            self.shape, self.width = shape, width

    @hookimpl
    def genzoo_models():
        return {{"{name}": Model}}

    class Trainer:
        """Trains nothing."""

        needs = ()

        def __init__(self, *, lr: float = 0.1, width: int = 1):
            self.lr = lr

        def optimizers(self, model):
            return {{}}

        def losses(self, model, batches):
            yield from ()

    @hookimpl
    def genzoo_trainers():
        return {{"{name}-trainer": Trainer}}
'''


class Site:
    """A folder on ``sys.path`` into which distributions are installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, modules: Mapping[str, str], version: str = "1.0", **points: str) -> None:
        """Write modules and entry points; ``points`` are plugin names and the modules they lead to."""
        for name, source in modules.items():
            (self.folder / f"{name}.py").write_text(dedent(source))
        info = self.folder / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {module}" for name, module in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[genzoo]", *lines]))

    def install_built_ins(self) -> None:
        """The project's own entry points, whether or not the project is installed where the tests run."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        self.install("genzoo", {}, project["version"], **project["entry-points"]["genzoo"])

    def environment(self) -> dict[str, str]:
        """The variables under which another process sees what this one sees."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT), str(ROOT / "plugins")])}

    def install_toy(self, distribution: str, module: str, name: str) -> None:
        """A plugin that works, with the model ``name`` and the trainer ``name-trainer``."""
        self.install(distribution, {module: TOY.format(name=name)}, **{name: module})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site; the modules imported from it are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield Site(folder)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(folder)):
            del sys.modules[name]
