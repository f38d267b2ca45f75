"""What is found in a results folder, what is passed over, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genzoo.benchmark import store
from genzoo.errors import FolderInUse, RunError
from genzoo.evaluation.record import Record

Write = Callable[..., Path]
Records = Callable[..., Record]


def test_a_finished_sample_set_is_found_and_read(tmp_path: Path, write: Write, records: Records) -> None:
    write(tmp_path, "t1", "s1", records("vae", "decode"))
    entry = store.find_samples(tmp_path, "t1", "s1")
    assert entry and (entry.train_id, entry.sample_id) == ("t1", "s1")
    assert entry.record.model.name == "vae"
    samples = entry.samples()
    assert samples is not None and samples.shape == (64, 8, 8, 1) and samples.dtype == np.uint8
    assert (entry.picture() or b"").startswith(b"\x89PNG")
    assert len(entry.log()) == 100


def test_a_training_is_finished_when_its_weights_stand(tmp_path: Path) -> None:
    (tmp_path / "t1").mkdir()
    (tmp_path / "t1" / "config.yaml").touch()
    assert store.find_training(tmp_path, "t1") is None
    (tmp_path / "t1" / "model.safetensors").touch()
    assert store.find_training(tmp_path, "t1") == tmp_path / "t1"


def test_what_is_not_there_or_failed_counts_as_not_yet_done(tmp_path: Path, write: Write, records: Records) -> None:
    write(tmp_path, "t1", "s1", records("gan", "decode", status="failed", reason="loss is nan"))
    assert store.find_samples(tmp_path, "t1", "s1") is None
    assert store.find_samples(tmp_path, "t1", "another") is None
    assert store.find_training(tmp_path, "t2") is None


def test_a_failed_run_is_an_entry_of_the_report(tmp_path: Path, write: Write, records: Records) -> None:
    write(tmp_path, "t1", "s1", records("gan", "decode", status="failed", reason="loss is nan"))
    (entry,) = store.load(tmp_path).entries
    assert entry.record.reason == "loss is nan"
    assert entry.samples() is None and entry.picture() is None and entry.log() == []


def lose_the_record(folder: Path) -> None:
    (folder / "record.json").unlink()


def damage_the_record(folder: Path) -> None:
    (folder / "record.json").write_text('{"schema": "genzoo.e')


def put_a_list_in_its_place(folder: Path) -> None:
    (folder / "record.json").write_text("[]")


def make_it_another_version_s(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps({**record, "schema": "genzoo.eval/99"}))


def edit_it(folder: Path) -> None:
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text.replace('"seed": 0', '"seed": 1'))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lose_the_record, "half written, it has no record.json"),
        (damage_the_record, "cannot be read as a record"),
        (put_a_list_in_its_place, "has schema None"),
        (make_it_another_version_s, "has schema 'genzoo.eval/99', this version reads 'genzoo.eval/1'"),
        (edit_it, "was changed after it was written"),
    ],
)
def test_what_cannot_be_used_is_passed_over_and_named(
    tmp_path: Path, write: Write, records: Records, damage: Callable[[Path], None], says: str
) -> None:
    write(tmp_path, "good", "s1", records("vae", "decode"))
    damage(write(tmp_path, "bad", "s2", records("gan", "decode")))
    results = store.load(tmp_path)
    assert [entry.train_id for entry in results.entries] == ["good"]
    (skipped,) = results.skipped
    assert "bad/samples/s2" in skipped and says in skipped and "\n" not in skipped
    assert store.find_samples(tmp_path, "bad", "s2") is None


def test_records_whose_samples_were_not_kept_make_a_report_and_are_drawn_again_by_a_suite(
    tmp_path: Path, write: Write, records: Records
) -> None:
    folder = write(tmp_path, "t1", "s1", records("vae", "decode"))
    (folder / "samples.npz").unlink()
    results = store.load(tmp_path)
    assert [entry.train_id for entry in results.entries] == ["t1"] and not results.skipped
    assert results.entries[0].samples() is None and results.entries[0].picture()
    assert store.find_samples(tmp_path, "t1", "s1") is None


def test_a_training_that_was_cut_off_is_named(tmp_path: Path, write: Write, records: Records) -> None:
    write(tmp_path, "good", "s1", records("vae", "decode"))
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "config.yaml").touch()
    assert store.load(tmp_path).skipped == ("cut: training is not finished",)


def test_a_log_may_end_in_the_middle_of_a_line(tmp_path: Path, write: Write, records: Records) -> None:
    write(tmp_path, "t1", "s1", records("vae", "decode"))
    with (tmp_path / "t1" / "log.jsonl").open("a") as log:
        log.write('{"step": 606, "loss": {"lo')
    assert len(store.load(tmp_path).entries[0].log()) == 100


def test_pickled_samples_are_never_loaded(tmp_path: Path, write: Write, records: Records) -> None:
    folder = write(tmp_path, "t1", "s1", records("vae", "decode"))
    np.savez(folder / "samples.npz", arr_0=np.array([{"any": "object"}], dtype=object))
    assert store.load(tmp_path).entries[0].samples() is None


def test_damaged_samples_count_as_none(tmp_path: Path, write: Write, records: Records) -> None:
    path = write(tmp_path, "t1", "s1", records("vae", "decode")) / "samples.npz"
    np.savez_compressed(path, arr_0=np.random.default_rng(0).integers(17, size=(64, 8, 8, 1), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[200:1200] = b"\xff" * 1000
    path.write_bytes(content)
    assert store.load(tmp_path).entries[0].samples() is None


@pytest.mark.parametrize(
    "line", ['{"images": 1}', '{"loss": {"a": 1}}', '{"images": 1, "loss": {"a": "x"}}', "[]", "1"]
)
def test_lines_of_a_log_that_tell_no_losses_are_left_out(
    tmp_path: Path, write: Write, records: Records, line: str
) -> None:
    write(tmp_path, "t1", "s1", records("vae", "decode"))
    (tmp_path / "t1" / "log.jsonl").write_text(f'{{"images": 1, "loss": {{"a": 1.5}}}}\n{line}\n')
    assert len(store.load(tmp_path).entries[0].log()) == 1


def test_a_folder_without_results_is_refused_in_one_line(tmp_path: Path, write: Write, records: Records) -> None:
    run = write(tmp_path / "out", "t1", "s1", records("vae", "decode")).parent.parent
    (tmp_path / "empty").mkdir()
    (tmp_path / "begun" / "t1").mkdir(parents=True)
    (tmp_path / "begun" / "t1" / "config.yaml").touch()
    for folder, says in [
        (tmp_path / "nowhere", "is not a folder"),
        (tmp_path / "empty", "is not a results folder"),
        (tmp_path / "begun", "has no finished run yet (t1: training is not finished)"),
        (run, f"is one run: give the results folder above it, {tmp_path / 'out'}"),
    ]:
        with pytest.raises(RunError) as refusal:
            store.load(folder)
        assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_output_folder_is_new_empty_or_holds_results(tmp_path: Path, write: Write, records: Records) -> None:
    write(tmp_path / "results", "t1", "s1", records("vae", "decode"))
    (tmp_path / "empty").mkdir()
    for folder in ("results", "empty", "new"):
        store.check_output(tmp_path / folder)


def test_an_output_folder_may_hold_a_training_or_a_reference_row_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "training" / "t1").mkdir(parents=True)
    (tmp_path / "training" / "t1" / "config.yaml").write_text("schema: genzoo.run/1\nid: t1\n")
    row = tmp_path / "reference" / "gaussian-digits" / "samples" / "gaussian-1a2b3c4d"
    row.mkdir(parents=True)
    (row / "samples.npz").touch()
    (row / ".samples.png.17.tmp").touch()
    for folder in ("training", "reference"):
        store.check_output(tmp_path / folder)


@pytest.mark.parametrize("path", ["conf/config.yaml", "speech/samples/a.wav", "speech/samples/a/a.wav", "a/b/samples"])
def test_a_project_of_somebody_else_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("lr: 0.1\n")
    with pytest.raises(FolderInUse, match="holds something else"):
        store.check_output(tmp_path)


def test_an_output_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FolderInUse, match=r"holds something else \(thesis.tex\)"):
        store.check_output(tmp_path)
    with pytest.raises(FolderInUse, match="is a file"):
        store.check_output(tmp_path / "thesis.tex")
    with pytest.raises(FolderInUse, match=r"thesis.tex is a file"):
        store.check_output(tmp_path / "thesis.tex" / "results" / "new")
