"""What a record tells of the code and of the machine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from genzoo import provenance


def git(folder: Path, *words: str) -> str:
    user = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *user, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository without a commit, in which the code seems to be."""
    git(tmp_path, "init", "--quiet")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "genzoo" / "provenance.py"))
    provenance.code.cache_clear()
    yield tmp_path
    provenance.code.cache_clear()


def test_a_checkout_tells_its_commit(checkout: Path) -> None:
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "first")
    assert provenance.code().git == git(checkout, "rev-parse", "HEAD")


def test_a_repository_without_a_commit_tells_none(checkout: Path) -> None:
    assert provenance.code().git is None


def test_a_machine_without_git_tells_none(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert provenance.code().git is None


def test_an_installed_package_tells_its_version_alone(checkout: Path) -> None:
    (checkout / ".git").rename(checkout / "git")
    assert provenance.code().git is None and provenance.code().version == provenance.version()


def test_the_environment_is_told() -> None:
    told = provenance.environment("bf16")
    assert told.torch == torch.__version__ and told.precision == "bf16" and told.threads >= 1
    assert told.cpu and told.diffusers
