"""The script that prints one uniform and one Gaussian model through every kind."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "likelihoods.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_likelihoods", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("subject", ["uniform_images", "gaussian_images", "gaussian_points"])
def test_every_row_is_near_the_closed_form(script: ModuleType, subject: str) -> None:
    """Bounds no better than the truth, estimates on either side: 4 standard errors, which include the examples'."""
    case = getattr(script, subject)()
    found = list(script.rows(case, full=False))
    assert len(found) >= 7
    for one in found:
        assert one.value == pytest.approx(case.truth, abs=4 * one.se + 0.01), one


def test_the_fitted_model_has_the_moments_of_its_examples(script: ModuleType) -> None:
    x = script.gaussian_points().x
    vae = script.fitted(x, 2)
    assert (vae.covariance - x.T.cov(correction=0)).abs().max() < 1e-5


def test_a_line_is_as_wide_as_the_header(script: ModuleType) -> None:
    case = script.uniform_images()
    assert len(script.line(next(script.rows(case, full=False)), case.truth)) == len(script.HEADER)
