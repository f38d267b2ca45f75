"""Tables as Markdown: every group, nothing of other people's that is not escaped."""

from collections.abc import Callable

from genzoo.benchmark.markdown import to_markdown
from genzoo.benchmark.table import build
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Zoo = Callable[[str], list[Record]]


def parts(text: str) -> dict[str, list[str]]:
    """The lines of each table by the heading above it."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        elif line.startswith("|"):
            found.setdefault(heading, []).append(line.replace("\\|", ""))
    return found


def test_every_group_is_a_table_with_every_row(zoo: Zoo) -> None:
    found = parts(to_markdown(build(zoo("digits"))))
    assert list(found) == ["digits", "Memorisation", "Cost", "By other tools' rules", "Likelihood"]
    for name, lines in found.items():
        assert len({line.count("|") for line in lines}) == 1
        if name != "Likelihood":
            assert len([line for line in lines if "perfect model" not in line]) == 2 + 11


def test_it_holds_the_leader_in_bold_the_verdict_and_what_it_rests_on(zoo: Zoo) -> None:
    text = to_markdown(build(zoo("digits")))
    assert "**0.75 ± 0.07**" in text and "*train-vs-test*" in text and "| *a perfect model* |" in text
    assert "ddpm · ddpm beats ddpm · ddim num\\_steps=10" in text
    assert "± standard error within one checkpoint" in text


def test_an_excerpt_has_the_asked_columns_and_all_that_is_told_around_them(zoo: Zoo) -> None:
    text = to_markdown(build(zoo("digits")), ["fd_debiased", "calls"])
    ((_, lines),) = parts(text).items()
    assert lines[0] == "| model | sampler | FD debiased ↓ | calls per sample |"
    assert "beats" in text and "protocol genzoo-eval/1" in text and "low\\_n" in text


def test_names_cannot_break_out(records: Records) -> None:
    text = to_markdown(build([records("<script>|x", "`*a*`\n# title", metrics={"a|b\n#": {"value": 1, "better": "lower",
                                                                               "how": "<b>"}})]))  # fmt: skip
    row = next(line for line in text.splitlines() if "script" in line)
    assert row.startswith("| &lt;script&gt;\\|x | \\`\\*a\\*\\` # title |")
    assert "<" not in text and "a\\|b # ↓" in text
