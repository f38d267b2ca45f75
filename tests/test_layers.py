"""The contracts on imports hold, and each of them catches what it is there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VAE = "plugins/genzoo_vae/model.py"
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(root), str(root / "plugins")])
    command = [sys.executable, "-c", LINT, "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("genzoo", "plugins"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "weights", "*.parquet"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("genzoo/zoo.py", "import genzoo_gan", "genzoo is not allowed to import genzoo_gan"),
        (VAE, "import genzoo_gan.model", "genzoo_vae is not allowed to import genzoo_gan"),
        (
            VAE,
            "from genzoo import config",
            "genzoo_vae is not allowed to import genzoo.config",
        ),
        (VAE, "import genzoo.data", "genzoo_vae is not allowed to import genzoo.data"),
        ("genzoo/training.py", "import genzoo.data", "genzoo.training is not allowed to import genzoo.data"),
        ("genzoo/sampling.py", "import genzoo.training", "genzoo.sampling is not allowed to import genzoo.training"),
        ("genzoo/errors.py", "import genzoo.images", "genzoo.errors is not allowed to import genzoo.images"),
        ("genzoo/config.py", "import genzoo.cli", "genzoo.config is not allowed to import genzoo.cli"),
    ],
)
def test_an_import_against_the_order_is_caught(tree: Path, file: str, line: str, broken: str) -> None:
    source = (tree / file).read_text()
    (tree / file).write_text(f"{source}\n{line}\n")
    done = lint(tree)
    (tree / file).write_text(source)
    assert done.returncode == 1
    assert broken in done.stdout


def test_a_new_file_must_be_given_a_place(tree: Path) -> None:
    (tree / "genzoo" / "newcomer.py").touch()
    done = lint(tree)
    (tree / "genzoo" / "newcomer.py").unlink()
    assert done.returncode == 1
    assert "newcomer" in done.stdout
