"""``import genzoo`` offers the library without importing it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

import genzoo


def test_importing_genzoo_imports_nothing_else() -> None:
    code = "import sys, genzoo; sys.exit(any(name.startswith('genzoo.') or name == 'torch' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


@pytest.mark.parametrize(
    ("name", "home", "attribute"),
    [
        ("train", "genzoo.run", "train"),
        ("evaluate", "genzoo.assessment", "evaluate"),
        ("Run", "genzoo.run", "Run"),
        ("bench", "genzoo.benchmark", "bench"),
        ("load_data", "genzoo.data", "load"),
    ],
)
def test_a_name_is_that_of_its_home(name: str, home: str, attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = object()
    monkeypatch.setitem(sys.modules, home, SimpleNamespace(**{attribute: marker}))
    assert getattr(genzoo, name) is marker


def test_the_zoo_and_the_version_are_there() -> None:
    from genzoo.zoo import Zoo

    assert genzoo.Zoo is Zoo
    assert genzoo.__version__[0].isdigit()


def test_what_is_offered_is_listed_and_nothing_else_is_there() -> None:
    assert set(genzoo.__all__) <= set(dir(genzoo))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        genzoo.nothing  # noqa: B018
