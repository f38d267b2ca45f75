import pytest

from genzoo.testing import plugin_checks


@pytest.mark.parametrize("check", plugin_checks("template"))
def test_conformance(check):
    check()
