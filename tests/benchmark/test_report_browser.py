"""The report in a real browser, from a disk, at a desktop's and a phone's width; skipped where no Chromium is found."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genzoo.benchmark.report import render

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "hide-scrollbars"),
    *("disable-background-networking", "disable-component-update", "disable-sync"),
)
OFFLINE = "host-resolver-rules=MAP * ~NOTFOUND"
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed")


class Browser:
    """As much of the WebDriver protocol as these tests speak."""

    def __init__(self, server: str, profile: Path) -> None:
        self._server = server
        options = {
            "binary": CHROMIUM,
            "args": [*(f"--{flag}" for flag in (*FLAGS, OFFLINE)), f"--user-data-dir={profile}"],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = f"/session/{self._call('/session', capabilities={'alwaysMatch': wanted})['sessionId']}"

    def open(self, page: Path, width: int, height: int) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        self._call(f"{self._session}/url", url=page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self._call(f"{self._session}/execute/sync", script=script, args=list(arguments))

    def wait(self, condition: str, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not self.run(f"return {condition}"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.05)

    def command(self, name: str, **parameters: Any) -> Any:
        return self._call(f"{self._session}/goog/cdp/execute", cmd=name, params=parameters)

    def console(self) -> list[str]:
        return [line["message"] for line in self._call(f"{self._session}/se/log", type="browser")]

    def close(self) -> None:
        urllib.request.urlopen(urllib.request.Request(self._server + self._session, method="DELETE")).close()

    def _call(self, path: str, **body: Any) -> Any:
        request = urllib.request.Request(self._server + path, json.dumps(body).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    driver = subprocess.Popen([str(DRIVER), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert driver.stdout
        started = next(line for line in driver.stdout if "started successfully on port" in line)
        found = Browser(f"http://127.0.0.1:{started.split()[-1].rstrip('.')}", tmp_path_factory.mktemp("profile"))
        yield found
        found.close()
    finally:
        driver.terminate()
        driver.wait(timeout=10)


@pytest.fixture(scope="module")
def page(results: Path) -> Path:
    return render(results)


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def opened(request: pytest.FixtureRequest, browser: Browser, page: Path) -> Browser:
    browser.open(page, *request.param)
    return browser


def test_everything_is_drawn_and_the_console_stays_silent(opened: Browser) -> None:
    opened.run("for (const picture of document.images) picture.loading = 'eager'")
    opened.run("for (const chart of document.querySelectorAll('.chart')) show(chart)")
    opened.wait("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg.main-svg'))")
    opened.wait("[...document.images].every((picture) => picture.complete && picture.naturalWidth > 0)")
    assert opened.run("return document.querySelectorAll('.chart').length") >= 8
    assert opened.run("return document.images.length") >= 20
    assert opened.console() == []


def test_a_chart_waits_until_it_comes_near_the_screen(opened: Browser) -> None:
    assert opened.run("return document.querySelectorAll('svg.main-svg').length") == 0
    opened.run("document.querySelector('.chart').scrollIntoView({behavior: 'instant'})")
    opened.wait("document.querySelector('.chart svg.main-svg')")
    assert opened.run("return [...document.querySelectorAll('.chart')].at(-1).querySelector('svg')") is None


def test_a_click_sorts_and_a_second_one_turns_the_order_round(opened: Browser) -> None:
    values = """
        const headers = [...document.querySelectorAll('table th[scope=col]')];
        const header = headers.find((header) => header.textContent.includes(arguments[0]));
        header.querySelector('button').click();
        const rows = [...header.closest('table').querySelector('tbody.model').rows];
        const values = rows.map((row) => row.cells[header.cellIndex].dataset.value);
        return [header.ariaSort, values.filter(Boolean).map(Number)];
    """
    direction, ascending = opened.run(values, "good points")
    assert (direction, ascending) == ("ascending", sorted(ascending)) and len(set(ascending)) > 3
    direction, descending = opened.run(values, "good points")
    assert (direction, descending) == ("descending", ascending[::-1])


def test_reference_rows_keep_their_places_and_kinds_of_likelihood_stay_apart(opened: Browser) -> None:
    table, header = "document.querySelector('#table-2 table')", "[...{}.tHead.rows[0].cells]"
    index = opened.run(f"return {header.format(table)}.findIndex((cell) => cell.textContent.includes('bits/dim'))")
    opened.run(f"{table}.tHead.rows[0].cells[{index}].querySelector('button').click()")
    roles = opened.run(f"return [...{table}.tBodies].map(body => body.className)")
    assert roles == ["ceiling", "model", "failed", "floor"]
    kinds = opened.run(
        f"return [...{table}.querySelectorAll('tbody.model tr')]"
        f".map(row => row.cells[{index}].dataset.kind).filter(Boolean)"
    )
    assert kinds == ["exact", "lower bound", "lower bound", "lower bound", "lower bound"]


def test_one_part_of_a_table_is_shown_and_the_others_are_a_click_away(opened: Browser) -> None:
    shown = """
        return [...document.querySelectorAll('#table-2 .tab')].filter((tab) => tab.checkVisibility())
            .map((tab) => tab.querySelector('h3').textContent)
    """
    assert opened.run(shown) == ["Fidelity and diversity"]
    names = opened.run(
        "return [...document.querySelectorAll('#table-2 .names label')].map((l) => l.textContent.trim())"
    )
    assert names == ["Fidelity and diversity", "Memorisation", "Cost", "By other tools' rules", "Likelihood"]
    for i, name in enumerate(names):
        opened.run("document.querySelectorAll('#table-2 .names input')[arguments[0]].click()", i)
        assert opened.run(shown) == [name]
        assert opened.run("return document.documentElement.scrollWidth <= innerWidth")


def test_no_plugin_s_name_runs_or_becomes_an_element(opened: Browser) -> None:
    assert opened.run("return document.querySelectorAll('script:not([type]):not([src])').length") == 1
    assert opened.run("return document.body.innerText.includes('<script>alert(1)</script>')")


def test_nothing_is_wider_than_the_screen(opened: Browser) -> None:
    assert opened.run("return document.documentElement.scrollWidth <= innerWidth")


def test_a_page_without_its_charts_script_says_what_is_missing(browser: Browser, page: Path, tmp_path: Path) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes(page.read_bytes())
    browser.open(alone, 1280, 900)
    browser.run("document.querySelector('.chart').scrollIntoView({behavior: 'instant'})")
    browser.wait("document.querySelector('.chart').textContent.includes('plotly.min.js')")
