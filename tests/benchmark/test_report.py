"""The report as files: complete, self-contained, escaped, written whole or not at all."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from genzoo.benchmark.report import render
from genzoo.errors import RunError, StorageError
from genzoo.evaluation.record import Record


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
    assert (results / "report.md").read_text().count("## Cost") == 2
    assert not list(results.glob("*.tmp")) and not list(results.glob(".*.tmp"))


def test_every_run_has_a_row_and_its_samples(elements: Elements) -> None:
    pictures = elements.all("img")
    assert len(pictures) == 2 * 10
    assert all(str(picture["src"]).startswith("data:image/png;base64,") for picture in pictures)
    assert all(str(picture["alt"]).startswith("Samples of ") for picture in pictures)
    assert len([1 for attributes in elements.all("article") if "card" in str(attributes["class"])]) == 2 * 11


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
    assert re.search(
        r"between ddpm · ddpm and ddpm · ddim num_steps=50 \(0\.05 ± 0\.18\) the difference", elements.text
    )
    assert "conditional on the one training seed of each model" in elements.text


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


@pytest.fixture
def made(tmp_path: Path, write: Callable[..., Path]) -> Callable[[list[Record]], str]:
    """The page of a folder of these records."""

    def make(records: list[Record]) -> str:
        for i, record in enumerate(records):
            write(tmp_path, f"t{i}", "s", record)
        return render(tmp_path).read_text()

    return make


def test_seeds_are_one_row_that_can_be_unfolded(
    made: Callable[[list[Record]], str], seeds: Callable[..., list[Record]]
) -> None:
    page = made([*seeds("vae", "decode", 1.0, 1.2, 1.4), *seeds("gan", "decode", 3.0, 3.1)])
    found = Elements(page)
    assert len(found.all("article")) == 2
    text = " ".join(found.text.split())
    assert "1.2 ± 0.5 (3 seeds)" in text and "record of seed 2" in text
    unfolded = text.split("Single seeds")[1]
    assert all(f"vae seed={seed} decode" in unfolded for seed in (0, 1, 2))


def test_a_row_that_breaks_the_regime_says_so_in_its_place(
    made: Callable[[list[Record]], str], records: Callable[..., Record]
) -> None:
    asked = {"regimes": {"equal-calls": 1.0}}
    page = made([records("vae", "decode", **asked), records("ddpm", "x", sampling__calls_per_sample=50.0, **asked)])
    body = page.split('<tbody class="unranked">')[1].split("</tbody>")[0]
    assert "not ranked: 50 calls a sample" in body and "1.00" in body and 'class="best"' not in body


def test_whatever_a_record_says_is_text(
    made: Callable[[list[Record]], str], records: Callable[..., Record], hostile: str, tmp_path: Path
) -> None:
    bad = {"value": 1.0, "better": "lower", "how": hostile, "se": 0.1}
    second = {"extractor": {"name": hostile, "hash": hostile, "literature_comparable": False},
              "metrics": {"fd_debiased": bad}}  # fmt: skip
    failed = {**bad, "value": None, "status": "failed", "reason": hostile}
    none = {"value": None, "unit": "nats", "kind": "none", "reason": hostile}
    says = {
        "metrics": {"fd_debiased": bad, hostile: bad, "kid": failed},
        "beside": second,
        "extractor": {"name": hostile, "hash": hostile, "literature_comparable": False},
        "likelihood": ({"value": 1.0, "unit": "nats", "kind": hostile}, none),
        "environment__cpu": hostile,
        "data__preparation": hostile,
        "data__split": hostile,
        "protocol": hostile,
        "warnings": [hostile],
        "model__plugin": hostile,
        "training__trainer": hostile,
    }  # fmt: skip
    rows = [records(f"{hostile}{i}", hostile, model__seed=i % 2, **says) for i in range(3)]
    broken = records(hostile, hostile, model__seed=7, status="failed", reason=hostile, metrics={})
    page = made([*rows, broken])
    assert hostile not in page and Elements(page).all("script").count({}) == 1
    assert "<script" not in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324, 0.0])
def test_no_number_is_too_large_or_too_small_for_a_report(
    made: Callable[[list[Record]], str], seeds: Callable[..., list[Record]], value: float
) -> None:
    odd = {"value": value, "better": "lower", "how": "x", "se": abs(value)}
    assert "vae" in made(seeds("vae", "decode", 1.0, 1.0, metrics={"fd_debiased": odd, "kid": odd, "precision": odd}))
