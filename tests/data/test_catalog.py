"""Names of data sets: what is understood, what is refused, and that finding out imports no torch."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genzoo.data.catalog import CATALOG, FORMS, IMAGES, POINTS, parse
from genzoo.errors import UnknownName


@pytest.mark.parametrize("name", [*POINTS, *IMAGES])
def test_a_built_in_name_has_no_argument(name: str) -> None:
    assert parse(name) == (name, "")


def test_what_follows_the_first_colon_is_the_argument() -> None:
    assert parse("folder:/data/a:b") == ("folder", "/data/a:b")
    assert parse("hub:owner/name:config") == ("hub", "owner/name:config")
    assert parse("fashion-mnist:/data/idx") == ("fashion-mnist", "/data/idx")


@pytest.mark.parametrize(("name", "nearest"), [("digit", "digits"), ("8-gaussians", "8gaussians"), ("ring", "rings")])
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown data set '{name}'; did you mean '{nearest}'"):
        parse(name)


@pytest.mark.parametrize("name", ["", "folder", "folder:", "hub:", "digits:8", "./pictures", "Parquet:x"])
def test_a_form_without_its_argument_is_unknown(name: str) -> None:
    with pytest.raises(UnknownName, match=r"allowed: .*folder:PATH.*a folder of your own images"):
        parse(name)


@settings(max_examples=50, deadline=None)
@given(kind=st.text(max_size=12), argument=st.text(max_size=12))
def test_any_text_is_parsed_or_refused(kind: str, argument: str) -> None:
    try:
        found = parse(f"{kind}:{argument}")
    except UnknownName:
        return
    assert ":".join(found) == f"{kind}:{argument}"
    assert kind in {form.partition(":")[0] for form in FORMS}


def test_every_name_is_described_in_one_line() -> None:
    assert all(text and "\n" not in text for text in CATALOG.values())


def test_listing_the_names_imports_no_torch() -> None:
    code = "import sys, genzoo.data.catalog; print([m for m in ('torch', 'datasets', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
