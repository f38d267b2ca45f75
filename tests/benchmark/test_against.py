"""Two results folders side by side: what is matched, what is better, what cannot be compared and why."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from genzoo.benchmark.against import Comparison, Pair, compare
from genzoo.benchmark.side_by_side import write
from genzoo.cli import main
from genzoo.errors import RunError
from genzoo.evaluation.parts import Likelihood
from genzoo.evaluation.record import Record

Records = Callable[..., Record]
Seeds = Callable[..., list[Record]]
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, write: Write) -> Callable[[str, Sequence[Record]], Path]:
    """A results folder of these records."""

    def make(name: str, records: Sequence[Record]) -> Path:
        for i, record in enumerate(records):
            write(tmp_path / name, f"t{i}", "s", record)
        return tmp_path / name

    return make


Folder = Callable[[str, Sequence[Record]], Path]


@pytest.fixture
def against(folder: Folder) -> Callable[[Sequence[Record], Sequence[Record]], Comparison]:
    return lambda mine, theirs: compare(folder("mine", mine), folder("theirs", theirs))


Against = Callable[[Sequence[Record], Sequence[Record]], Comparison]


def verdicts(pair: Pair) -> dict[str, str]:
    return {one.column.key: one.verdict for one in pair.contrasts}


def test_a_lower_distance_is_better_only_where_the_interval_excludes_zero(against: Against, seeds: Seeds) -> None:
    mine = [*seeds("vae", "decode", 1.0, 1.1, 1.2), *seeds("gan", "decode", 1.0, 2.0, 3.0)]
    theirs = [*seeds("vae", "decode", 2.0, 2.1, 2.2), *seeds("gan", "decode", 2.0, 3.0, 4.0)]
    vae, gan = against(mine, theirs).pairs
    assert (vae.model, vae.headline.difference, vae.headline.verdict) == ("vae", "-1.00 ± 0.23", "better")
    assert (gan.model, gan.headline.verdict) == ("gan", "level")
    assert verdicts(vae)["recall"] == "better"  # of recall, more is better


def test_the_other_way_round_it_is_worse(against: Against, seeds: Seeds) -> None:
    (pair,) = against(seeds("vae", "decode", 2.0, 2.1, 2.2), seeds("vae", "decode", 1.0, 1.1, 1.2)).pairs
    assert pair.headline.verdict == "worse" and pair.seeds == (3, 3)


def test_a_folder_against_itself_is_level_everywhere(folder: Folder, zoo: Callable[[str], list[Record]]) -> None:
    same = folder("same", [*zoo("digits"), *zoo("8gaussians")])
    found = compare(same, same)
    assert len(found.pairs) == 22 and found.only == ((), ())
    assert {verdict for pair in found.pairs for verdict in verdicts(pair).values()} == {"level", ""}


def test_rows_are_matched_by_data_model_sampler_and_options(against: Against, records: Records) -> None:
    mine = [records("vae", "decode"), records("vae", "decode", model__options={"width": 8}), records("gan", "decode")]
    theirs = [records("vae", "decode", model__options={"width": 8}), records("gan", "other")]
    found = against(mine, theirs)
    assert [pair.label for pair in found.pairs] == ["vae width=8 · decode"]
    assert found.only == (("digits · vae width=64 · decode", "digits · gan · decode"), ("digits · gan · other",))


def test_several_trainings_of_one_model_are_matched_by_how_they_were_trained(
    against: Against, records: Records
) -> None:
    short, long = records("vae", "decode", training__budget="30s"), records("vae", "decode", training__budget="60s")
    assert [pair.label for pair in against([short, long], [long, short]).pairs] == [
        "vae budget=30s · decode",
        "vae budget=60s · decode",
    ]


def test_one_training_against_another_of_other_length_is_matched_and_told(against: Against, records: Records) -> None:
    (pair,) = against([records("vae", "decode")], [records("vae", "decode", training__budget="60s")]).pairs
    assert "budget: 30s against 60s" in pair.told


def test_what_may_not_be_compared_has_no_difference_and_a_reason(against: Against, records: Records) -> None:
    (pair,) = against([records("vae", "decode")], [records("vae", "decode", extractor__hash="ffff")]).pairs
    assert pair.apart == ("extractor differs: cnn8@1a2b3c4d5e6f and cnn8@ffff",)
    assert {(one.difference, one.verdict) for one in pair.contrasts} == {("", "")}
    assert pair.headline.mine == pair.headline.theirs == "1.00 ± 0.08"


def test_seconds_of_another_machine_are_shown_and_not_compared(against: Against, records: Records) -> None:
    mine, theirs = records("vae", "decode"), records("vae", "decode", environment__cpu="another", score=9.0)
    (pair,) = against([mine], [theirs]).pairs
    seconds = next(one for one in pair.contrasts if one.column.key == "training_seconds")
    assert (seconds.difference, seconds.why) == ("", "a processor, 2 threads against another, 2 threads")
    assert pair.headline.verdict == "better"
    assert "machine: a processor, 2 threads against another, 2 threads" in pair.told


def test_likelihoods_of_different_kinds_are_not_compared(against: Against, records: Records) -> None:
    def of(kind: str) -> list[Record]:
        return [records("vae", "decode", likelihood=(Likelihood(value=3.0, unit="bits/dim", kind=kind, se=0.01),))]

    (pair,) = against(of("exact"), of("lower bound")).pairs
    found = next(one for one in pair.contrasts if one.column.key == "likelihood")
    assert (found.difference, found.why) == ("", "exact against lower bound")


def test_without_a_known_error_no_verdict_is_given(against: Against, records: Records) -> None:
    (pair,) = against([records("vae", "decode")], [records("vae", "decode", score=3.0)]).pairs
    density = next(one for one in pair.contrasts if one.column.key == "density")
    assert (density.verdict, density.why) == ("", "an error is not known")


def test_other_versions_are_told(against: Against, records: Records) -> None:
    other = records("vae", "decode", code__git="fff", model__plugin_version="2", environment__torch="3.0")
    (pair,) = against([records("vae", "decode")], [other]).pairs
    assert {"git: 0123abc against fff", "plugin: 0.1.0 against 2", "torch: 2.14.1 against 3.0"} <= set(pair.told)


def test_a_run_that_failed_in_one_folder_says_so(against: Against, records: Records) -> None:
    failed = records("vae", "decode", status="failed", reason="loss is nan", metrics={}, extractor=None)
    (pair,) = against([records("vae", "decode")], [failed]).pairs
    assert pair.apart == ("failed in the other folder: loss is nan",)


def test_it_is_printed_and_written_as_a_page_and_as_markdown(
    folder: Folder, seeds: Seeds, records: Records, hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = records(hostile, "decode", model__options={hostile: f"|{hostile}\n# title"})
    mine = folder("mine", [*seeds("vae", "decode", 1.0, 1.1, 1.2), odd])
    theirs = folder("theirs", [*seeds("vae", "decode", 2.0, 2.1, 2.2), odd, records(f"{hostile}2", hostile)])
    assert main(["report", str(mine), "--against", str(theirs)]) == 0
    printed = capsys.readouterr().out
    assert "-1.00 ± 0.23  better" in printed and f"comparison: {mine / 'compare.html'}" in printed
    assert "vae · decode is better in FD debiased, second extractor (" in printed
    assert "only in theirs: digits · " in printed
    page, text = (mine / "compare.html").read_text(), (mine / "compare.md").read_text()
    assert "&lt;script&gt;" in page and hostile not in page and "<script" not in page
    assert "| FD debiased ↓ | 1.1 ± 0.2 | 2.1 ± 0.2 | -1.00 ± 0.23 | **better** |" in text
    assert "<script" not in text and not list(theirs.glob("compare.*"))


def test_folders_of_one_name_are_called_by_their_paths(folder: Folder, records: Records) -> None:
    one, two = folder("a/digits", [records("vae", "decode")]), folder("b/digits", [records("vae", "decode")])
    assert compare(one, two).names == (str(one), str(two))


def test_what_is_no_results_folder_is_refused_in_one_line(folder: Folder, records: Records, tmp_path: Path) -> None:
    mine = folder("mine", [records("vae", "decode")])
    with pytest.raises(RunError, match="nowhere is not a folder") as refusal:
        write(mine, tmp_path / "nowhere")
    assert "\n" not in str(refusal.value) and not (mine / "compare.html").exists()
