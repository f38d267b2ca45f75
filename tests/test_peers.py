"""What the peers' scripts share and the driver makes of their files; no peer's package is needed."""

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent.parent / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def timed() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "timed.py"))


@pytest.fixture(scope="module")
def measure() -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / "measure.py"))


def entry(peer: str, fd: float, *, reference: bool = False) -> dict[str, Any]:
    """As measure.py records it."""
    costs: dict[str, Any] = {
        "training": {"steps": 1234, "images_seen": 78976, "seconds": 600.2},
        "parameters": {"sampling": 1_500_000, "training": 2_000_000},
        "sampling_seconds": 20.0,
        "num_drawn": 5000,
        "sampler": "DDIM 100",
    }
    if reference:
        costs = {"training": None, "parameters": None, "sampler": ""}
    metrics = {"fd_debiased": {"value": fd, "se": 0.5}, "precision": {"value": 0.5, "se": None}}
    return {"settings": {"peer": peer, **costs}, "metrics": metrics, "beside": {"fd_debiased": None}}


ENTRIES = {"gaussian": entry("*gaussian*", 40.0, reference=True), "a": entry("A", 8.0), "b": entry("B", 20.0)}


def test_the_table_has_the_best_first_and_how_far_each_is_below_the_gaussian(measure: dict[str, Any]) -> None:
    header, rule, *rows = measure["table"](ENTRIES).splitlines()
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| A", "8.00 ± 0.50", "5.0"],
        ["| B", "20.00 ± 0.50", "2.0"],
        ["| *gaussian*", "40.00 ± 0.50", "1.0"],
    ]
    assert {line.count("|") for line in (header, rule, *rows)} == {header.count("|")}


def test_a_row_says_what_the_peer_cost(measure: dict[str, Any]) -> None:
    row = measure["table"](ENTRIES).splitlines()[2]
    for cell in ("DDIM 100", "600 s", "1,234", "78,976", "1.50M", "4.0 s"):
        assert f" {cell} " in row


def test_the_page_is_filled_between_its_markers_alone(measure: dict[str, Any]) -> None:
    page = "before\n<!-- table -->\nold\n<!-- end -->\nafter\n"
    filled = measure["fill"](page, ENTRIES)
    assert filled.startswith("before\n<!-- table -->\n")
    assert filled.endswith("<!-- end -->\nafter\n")
    assert "old" not in filled
    assert measure["fill"](filled, ENTRIES) == filled


def test_the_readme_is_what_the_record_says(measure: dict[str, Any]) -> None:
    page = (FOLDER / "README.md").read_text()
    assert measure["MARKED"].search(page)
    if measure["RECORD"].exists():
        assert measure["fill"](page, json.loads(measure["RECORD"].read_text())) == page


def test_every_peer_has_its_script_and_its_choices(measure: dict[str, Any]) -> None:
    for script, *own in measure["PEERS"].values():
        source = (FOLDER / script).read_text()
        for name, value in zip(own[::2], own[1::2], strict=True):
            assert re.search(rf"{name.removeprefix('--')}=", source)
            assert f'"{value}"' in source


def test_training_stops_when_its_seconds_are_over_and_counts_what_it_took(timed: dict[str, Any]) -> None:
    seen = []
    data = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1)
    spent = timed["train"](lambda batch, fraction: seen.append((batch, fraction)), data, 4, 0.05)
    fractions = [fraction for _, fraction in seen]
    assert spent.steps == len(seen) > 2
    assert spent.images_seen == 4 * spent.steps
    assert spent.seconds >= 0.05
    assert fractions == sorted(fractions)
    assert fractions[0] == 0 and fractions[-1] < 1
    epoch = torch.cat([batch for batch, _ in seen[:2]]).flatten()
    assert len(epoch.unique()) == 8


def test_samples_are_uint8_pictures_rounded_and_clipped(timed: dict[str, Any]) -> None:
    values = iter([torch.full((2, 1, 28, 28), 0.5), torch.full((1, 1, 28, 28), 7.0)])
    samples, seconds = timed["draw"](lambda n: next(values), 3, 2)
    assert samples.dtype == torch.uint8
    assert samples.shape == (3, 28, 28, 1)
    assert samples[:, 0, 0, 0].tolist() == [128, 128, 255]
    assert seconds >= 0


def test_what_a_peer_leaves_is_what_the_protocol_reads(
    timed: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["peer", "--out", str(tmp_path), "--seconds", "3", "--threads", "1"])
    threads = torch.get_num_threads()
    known, chosen = timed["asked"]("A peer.", nets=("conv", "mlp"))
    torch.set_num_threads(threads)
    assert chosen == {"nets": "conv"}
    samples = torch.zeros(5, 28, 28, 1, dtype=torch.uint8)
    timed["write"](known, samples, timed["Spent"](7, 70, 3.0), package="diffusers", peer="P")
    with np.load(tmp_path / "samples.npz") as stored:
        assert stored["arr_0"].dtype == np.uint8
        assert stored["arr_0"].shape == (5, 28, 28, 1)
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["training"] == {"steps": 7, "images_seen": 70, "seconds": 3.0}
    assert (settings["peer"], settings["num_drawn"], set(settings["versions"])) == ("P", 5, {"torch", "diffusers"})


def test_pixels_come_back_from_the_model_s_range(timed: dict[str, Any]) -> None:
    levels = torch.arange(256)
    assert torch.equal(timed["_pixels"](levels * (2 / 255) - 1).long(), levels)


def test_a_peer_whose_samples_stand_is_not_trained_again(measure: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "dcgan-28").mkdir()
    (tmp_path / "dcgan-28" / "samples.npz").write_bytes(b"")
    measure["train"]("dcgan-28", tmp_path, seconds=1e9, threads=1, samples=1, calls=1)
