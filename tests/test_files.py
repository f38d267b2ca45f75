"""Files appear whole or not at all, and a disk that refuses is told in one line."""

import json
from pathlib import Path

import pytest
from mishaps import full_disk
from small import names

from genzoo.errors import FolderInUse, StorageError
from genzoo.files import append_line, check_writable, write_atomically, write_json, write_text


def test_a_file_is_written_into_folders_that_are_made_for_it(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "c", b"content")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"content"


def test_a_file_is_replaced(tmp_path: Path) -> None:
    write_text(tmp_path / "note", "old")
    write_text(tmp_path / "note", "schön")
    assert (tmp_path / "note").read_text(encoding="utf-8") == "schön"
    assert names(tmp_path) == ["note"]


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path: Path) -> None:
    write_text(tmp_path / "note", "old")
    with full_disk(1000), pytest.raises(StorageError) as caught:
        write_atomically(tmp_path / "note", b"x" * 5000)
    assert str(caught.value).startswith(f"cannot write {tmp_path / 'note'}: File too large; what was written before")
    assert "\n" not in str(caught.value) and caught.value.status == 1
    assert (tmp_path / "note").read_text() == "old"
    assert names(tmp_path) == ["note"]


def test_a_file_in_the_place_of_a_folder_is_told_in_one_line(tmp_path: Path) -> None:
    write_text(tmp_path / "note", "mine")
    with pytest.raises(StorageError, match="cannot write"):
        write_text(tmp_path / "note" / "below", "text")
    assert (tmp_path / "note").read_text() == "mine"


def test_lines_are_added_one_after_another(tmp_path: Path) -> None:
    append_line(tmp_path / "run" / "log", "one")
    append_line(tmp_path / "run" / "log", "two")
    assert (tmp_path / "run" / "log").read_text() == "one\ntwo\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_line_that_does_not_fit_is_told_in_one_line() -> None:
    with pytest.raises(StorageError, match="cannot write /dev/full: No space left on device; what was written before"):
        append_line(Path("/dev/full"), "one")


def test_json_is_indented_text_without_escapes(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"name": "schön", "list": [1, 2.5]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "schön" in text and text.endswith("}\n") and "\n  " in text
    assert json.loads(text) == {"name": "schön", "list": [1, 2.5]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_numbers_that_are_none(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"value": value})
    assert not (tmp_path / "a.json").exists()


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    check_writable(Path("relative") / "folder")
    assert names(tmp_path) == []


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in ("file", "file/a", "file/a/b"):
        with pytest.raises(FolderInUse, match=r"file is a file: give another --out"):
            check_writable(tmp_path / folder)


def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(FolderInUse, match="may not be written to"):
        check_writable(tmp_path / "a")
