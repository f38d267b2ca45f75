"""Whatever is broken on the machine is noticed: weights, a plugin, the cache, arithmetic."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_plugins import Site, site
from offline import no_network
from torch import Tensor

from genzoo.doctor import machine
from genzoo.evaluation.extractors import built_in

__all__ = ["no_network", "site"]


def found(check: str) -> machine.Finding:
    (finding,) = machine.findings({check: machine.CHECKS[check]})
    return finding


def test_this_machine_is_well() -> None:
    assert [finding for finding in machine.findings() if not finding.ok] == []


def test_a_weights_file_with_one_bit_changed_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in built_in.WEIGHTS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = tmp_path / "cnn28.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(built_in, "WEIGHTS", tmp_path)
    assert not found("weights").ok
    assert "which should be e18593ea" in found("weights").detail
    damaged.write_bytes(content[: len(content) // 2])
    assert not found("weights").ok and "\n" not in found("weights").detail


def test_a_broken_plugin_is_named_with_its_reason(site: Site) -> None:
    site.install("other", {"other": "import nothing_of_that_name"}, sick="other")
    assert not found("plugins").ok
    assert "sick is broken" in found("plugins").detail and "nothing_of_that_name" in found("plugins").detail


@pytest.mark.parametrize("name", ["file", "file/below", "/proc/nowhere"])
def test_a_cache_that_cannot_be_written_is_told_with_the_remedy(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / name))
    told = f"{tmp_path / name} cannot be written to: set GENZOO_CACHE to a folder that can"
    assert found("cache") == machine.Finding("cache", False, told)


def test_looking_at_the_cache_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path, tmp_path / "new"):
        monkeypatch.setenv("GENZOO_CACHE", str(folder))
        assert found("cache").ok
    assert list(tmp_path.iterdir()) == []


def to_even(x: Tensor, levels: int) -> Tensor:
    return ((levels - 1) * (x.clamp(-1, 1) + 1) / 2).round().to(torch.uint8)


@pytest.mark.parametrize(
    ("check", "function", "broken"),
    [
        ("rounding", "to_levels", lambda original: to_even),
        ("data", "load", lambda original: lambda name: SimpleNamespace(fingerprint="0" * 64)),
        ("two Gaussians", "frechet_distance", lambda original: lambda x, y: original(x, y) * (1 + 1e-6)),
        ("torch-fidelity", "frechet_distance", lambda original: lambda x, y: original(x, y) * (1 + 1e-3)),
        ("neighbours", "pair_statistics", lambda original: lambda x, y: original(x + torch.rand(60, 3), y)),
        ("neighbours", "pair_statistics", lambda original: lambda x, y: swapped(original(x, y))),
    ],
)  # fmt: skip
def test_an_oracle_notices(
    check: str, function: str, broken: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(check).ok
    monkeypatch.setattr(machine, function, broken(getattr(machine, function)))
    assert not found(check).ok


def swapped(statistics: Any) -> Any:
    return replace(statistics, covered=statistics.recalled, recalled=statistics.covered)


def test_a_likelihood_of_another_base_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    likelihoods = machine.ev.likelihoods

    def in_nats(*arguments: Any) -> Any:
        return [each.model_copy(update={"value": each.value * math.log(2)}) for each in likelihoods(*arguments)]

    monkeypatch.setattr(machine.ev, "likelihoods", in_nats)
    assert not found("uniform model").ok


def test_features_that_depend_on_the_batch_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    extract = machine.ev.extract
    monkeypatch.setattr(machine.ev, "extract", lambda images, e: extract(images, e) - extract(images, e).mean(0))
    assert not found("features").ok
