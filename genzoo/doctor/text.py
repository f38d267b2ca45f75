"""The diagnosis for a terminal: metrics by cases, with marks, and the checks of the machine line by line."""

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from genzoo.doctor.cases import CASES
from genzoo.doctor.claims import Direction
from genzoo.doctor.judging import Row
from genzoo.doctor.machine import Finding

WIDTH, ROOMY = 100, 91
LEGEND = "✓ moved as it must · = stayed as it must · ✗ did not · no mark: nothing is claimed"


def to_text(rows: Sequence[Row], findings: Sequence[Finding], seconds: float) -> str:
    """As wide as the terminal and in its colours; plain and 100 columns wide where there is none."""
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    with console.capture() as captured:
        console.print(_answers(rows, roomy=console.width >= ROOMY))
        console.print(_machine(findings))
        console.print(_summary(rows, findings, seconds))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _answers(rows: Sequence[Row], *, roomy: bool) -> RenderableType:
    """The table of known answers, what is wrong in it, and what its columns are."""
    cases = list(dict.fromkeys(row.case for row in rows))
    cells = {(row.metric, row.case): row for row in rows}
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 0, 0, int(roomy)), pad_edge=False, show_edge=False)
    grid.add_column("metric", no_wrap=True)
    for case in cases:
        grid.add_column(Text(case.replace(" ", "\n")), justify="right", no_wrap=True)
    for metric in dict.fromkeys(row.metric for row in rows):
        grid.add_row(metric, *(_cell(cells.get((metric, case)), " " * roomy) for case in cases))
    wrong = [Text(f"✗ {row}", style="red") for row in rows if row.verdict is False]
    what = [Text(f"{case}: {CASES[case].__doc__}", style="dim") for case in cases]
    return Group(Text("Known answers", style="bold"), Text(), grid, *wrong, Text(LEGEND, style="dim"), *what)


def _cell(row: Row | None, gap: str) -> Text:
    if row is None:
        return Text(f"-{gap} ", style="dim")
    value = Text("-" if row.value is None else _number(row.value), style="" if row.expected else "dim")
    return value.append(gap).append(*_mark(row))


def _mark(row: Row) -> tuple[str, str]:
    if row.verdict is None:
        return " ", ""
    if not row.verdict:
        return "✗", "bold red"
    return ("=" if row.expected is Direction.LEVEL else "✓"), "green"


def _number(value: float) -> str:
    """At most five characters, the sign included, of anything that metrics say of the digits."""
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"


def _machine(findings: Sequence[Finding]) -> RenderableType:
    lines = [Text(), Text("This machine", style="bold"), Text()]
    width = max(len(finding.check) for finding in findings)
    grid = Table.grid(padding=(0, 1))
    for _ in range(3):
        grid.add_column()
    for finding in findings:
        mark = Text("✓", style="green") if finding.ok else Text("✗", style="bold red")
        grid.add_row(mark, Text(finding.check.ljust(width)), Text(finding.detail, style="" if finding.ok else "red"))
    return Group(*lines, grid)


def _summary(rows: Sequence[Row], findings: Sequence[Finding], seconds: float) -> Text:
    judged = [row.verdict for row in rows if row.verdict is not None] + [finding.ok for finding in findings]
    wrong = judged.count(False)
    verdict = f"{len(judged)} answers, all right" if not wrong else f"wrong: {wrong} of {len(judged)} answers"
    return Text(f"\n{verdict}; {seconds:.0f} s", style="bold red" if wrong else "bold green")
