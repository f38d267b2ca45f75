"""Tables in a terminal and as Markdown."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from genzoo.benchmark.table import build
from genzoo.benchmark.text import show, to_text
from genzoo.evaluation.parts import Likelihood
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Zoo = Callable[[str], list[Record]]


def printed(records: list[Record], width: int, *, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    show(build(records), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_without_a_terminal_it_is_plain_text_of_a_hundred_columns(zoo: Zoo) -> None:
    text = to_text(build(zoo("digits")))
    assert "\x1b" not in text and "train-vs-test" in text
    assert 80 < max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_table_keeps_to_the_width_and_always_has_its_headline(zoo: Zoo, width: int) -> None:
    lines = printed(zoo("digits"), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("0.75 ± 0.07" in line for line in lines)


def test_a_wider_terminal_shows_more_columns_and_a_narrow_one_says_what_is_missing(records: Records) -> None:
    narrow, wide = (printed([records("vae", "decode"), records("gan", "decode")], width) for width in (60, 200))
    assert "density" in wide and "no room here" not in wide
    assert "no room here for: " in narrow and "density" in narrow.split("no room here for: ")[1]


def test_a_hundred_columns_hold_quality_likelihood_and_calls(records: Records) -> None:
    bound = Likelihood(value=3.1, unit="bits/dim", kind="lower bound")
    one = records("ddpm", "ddim", sampling__options={"num_steps": 50}, likelihood=(bound,))
    head = printed([one, records("vae", "decode")], 100).split("ddpm")[0]
    for title in ("debiased", "precision", "recall", "bits/dim", "calls", "KID"):
        assert title in head


def test_a_failure_is_printed_with_its_reason(records: Records) -> None:
    out = printed([records("vae", "decode"), records("gan", "decode", status="failed", reason="loss is nan")], 100)
    assert "✗ gan · decode: loss is nan" in out


def test_rich_markup_and_escape_codes_in_names_are_only_text(records: Records) -> None:
    out = printed([records("[red]vae[/]\x1b[2J", "[b]x")], 100, colour=True)
    assert "[red]vae[/] [2J" in out and "[b]x" in out and "\x1b[2J" not in out
