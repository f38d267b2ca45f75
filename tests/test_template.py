"""The example plugin, installed as anybody would install it, beside the core."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_plugins import Site

TEMPLATE = Path(__file__).parent.parent / "examples" / "genzoo-plugin-template"
GENZOO = "import sys; from genzoo.cli import main; sys.exit(main())"

SUITE = """
name: mixture-of-ours
budget: 200steps
tables:
  - data: 8gaussians
    num_samples: 500
    runs:
      - model: mixture
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A folder with the template installed in it by pip, offline."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.install_built_ins()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site.folder), str(TEMPLATE)], check=True, capture_output=True, text=True)
    return site


def genzoo(site: Site, *words: str, code: str = GENZOO) -> str:
    """What the command prints, with the site before everything else on the path."""
    environment = site.environment()
    environment["PYTHONPATH"] = os.pathsep.join([str(site.folder), environment["PYTHONPATH"]])
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_listed_with_its_version(site: Site) -> None:
    plugins = {row["name"]: row for row in json.loads(genzoo(site, "list", "plugins", "--json"))["plugins"]}
    template = plugins["template"]
    assert (template["distribution"], template["version"]) == ("genzoo-plugin-template", "0.1.0")
    assert template["status"] == "ok"
    assert template["description"].startswith("Mixtures of Gaussians")


def test_its_parts_stand_among_the_others(site: Site) -> None:
    printed = genzoo(site, "list")
    for name in ("mixture", "em", "ancestral-mixture", "radial-spectrum", "sharpness-gap", "ddpm"):
        assert f"\n{name} " in printed


def test_listing_it_imports_no_torch(site: Site) -> None:
    code = "import sys; from genzoo.cli import main; main(); sys.exit('torch' in sys.modules)"
    genzoo(site, "list", code=code)


def test_its_options_and_papers_are_explained(site: Site) -> None:
    printed = genzoo(site, "info", "mixture")
    assert "components" in printed
    assert "Bishop, 2006" in printed
    assert "offers Density" in printed
    printed = genzoo(site, "info", "radial-spectrum")
    assert printed.startswith("radial-spectrum: an extractor of plugin 'template' of genzoo-plugin-template 0.1.0")
    assert "rings   int   8" in printed


def test_it_satisfies_the_conformance_kit(site: Site) -> None:
    printed = genzoo(site, "check", "template")
    assert "template/plugin/imports_no_torch" in printed
    assert "em/trainer/learns_a_known_target[mixture]" in printed
    assert "radial-spectrum/extractor/rows_are_independent[1x8x8]" in printed
    assert "sharpness-gap/metric/moves_the_right_way[digits]" in printed
    assert printed.rstrip().endswith(" passed, 0 failed")


def test_its_own_tests_pass(site: Site) -> None:
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    words = ["-p", "no:cacheprovider", "-c", str(TEMPLATE / "pyproject.toml"), str(TEMPLATE / "tests")]
    assert " passed" in genzoo(site, *words, code=code)


def test_a_suite_has_a_row_of_it(site: Site, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE)
    rows = [line.split() for line in genzoo(site, "bench", str(suite), "--out", str(tmp_path / "out")).splitlines()]
    assert any("mixture" in row for row in rows), rows
