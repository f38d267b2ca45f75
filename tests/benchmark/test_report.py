"""The report as files: complete, self-contained, escaped, written whole or not at all."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from genzoo.benchmark.report import render
from genzoo.errors import RunError, StorageError


class Elements(HTMLParser):
    """Every element with its attributes, and the page's visible text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def page(results: Path) -> str:
    return render(results).read_text()


@pytest.fixture(scope="module")
def elements(page: str) -> Elements:
    return Elements(page)


def test_it_writes_the_page_the_markdown_and_the_charts_script(results: Path) -> None:
    assert render(results) == results / "report.html"
    assert (results / "plotly.min.js").stat().st_size > 1_000_000
    assert (results / "report.md").read_text().count("| *gaussian* |") == 2
    assert not list(results.glob("*.tmp")) and not list(results.glob(".*.tmp"))


def test_every_run_has_a_row_and_its_samples(elements: Elements) -> None:
    pictures = elements.all("img")
    assert len(pictures) == 2 * 10
    assert all(str(picture["src"]).startswith("data:image/png;base64,") for picture in pictures)
    assert all(str(picture["alt"]).startswith("Samples of ") for picture in pictures)
    rows = [attributes for attributes in elements.all("th") if attributes.get("scope") == "row"]
    assert len(rows) == 2 * 11


def test_it_loads_nothing_from_anywhere_else(page: str, elements: Elements) -> None:
    assert elements.all("link") == [{"rel": "icon", "href": "data:,"}]
    assert not [attributes for attributes in elements.all("script") if "src" in attributes]
    assert not re.search(r"https?://", page)


def test_links_lead_somewhere(elements: Elements) -> None:
    targets = {attributes.get("id") for _, attributes in elements.found}
    links = [str(attributes["href"]) for attributes in elements.all("a")]
    assert len(links) > 20 and all(link[0] == "#" and link[1:] in targets for link in links)


def test_names_are_shown_and_never_run(page: str, elements: Elements, hostile: str) -> None:
    scripts = elements.all("script")
    assert [script for script in scripts if script != {}] == [s for s in scripts if s.get("type") == "application/json"]
    assert scripts.count({}) == 1
    assert hostile in elements.text and hostile not in page


def test_the_charts_are_json_without_surprises(page: str) -> None:
    charts = re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', page, re.DOTALL)
    assert len(charts) == len({name for name, _ in charts}) >= 8

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    for _, text in charts:
        assert json.loads(text, parse_constant=refuse)["data"]


def test_it_says_what_it_passed_over(elements: Elements) -> None:
    assert "cut-off: training is not finished" in elements.text


def test_it_explains_every_column_it_shows(elements: Elements) -> None:
    explained = elements.text.split("How to read this")[-1]
    for title in ("FD debiased", "KID", "recall", "good points", "calls per sample", "bits/dim"):
        assert title in explained


def test_it_claims_no_lead_that_the_errors_do_not_carry(elements: Elements) -> None:
    assert "the errors do not tell it from ddpm · ddim num_steps=50" in elements.text


def test_a_second_report_is_the_same(results: Path, page: str) -> None:
    assert render(results).read_text() == page


def test_a_folder_that_holds_no_results_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        render(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_one_line(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    before = (results / "report.html").read_bytes()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left on device"):
        render(results)
    assert (results / "report.html").read_bytes() == before
