"""The hub: reached, out of reach, and its client's cache."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from genzoo.data import hub, load, sources
from genzoo.errors import DataError, DataUnavailable


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's client, and no settings but its own."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_ENDPOINT", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    return tmp_path / "hub"


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that swallows every packet."""

    def wait_for_ever(*_: Any, **__: Any) -> None:
        time.sleep(30)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", wait_for_ever)


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Something that accepts connections where the hub is looked for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def pictures(n: int) -> datasets.Dataset:
    images = [Image.fromarray(np.full((4, 4), i, dtype=np.uint8)) for i in range(n)]
    features = datasets.Features(img=datasets.Image(), fine_label=datasets.ClassLabel(names=["a", "b"]))
    return datasets.Dataset.from_dict({"img": images, "fine_label": [i % 2 for i in range(n)]}, features=features)


def put_in_cache(folder: Path, owner: str, name: str) -> None:
    """What the client leaves behind when it has prepared a data set."""
    home = folder / f"{owner}___{name}" / "default" / "0.0.0" / "0123456789abcdef"
    splits = {}
    for split, n in {"train": 8, "test": 4}.items():
        rows = pictures(n)
        rows.save_to_disk(folder / "scratch")
        home.mkdir(parents=True, exist_ok=True)
        (folder / "scratch" / "data-00000-of-00001.arrow").rename(home / f"{name}-{split}.arrow")
        splits[split] = {"name": split, "num_bytes": 1, "num_examples": n, "dataset_name": name}
    features = pictures(1).features.to_dict()
    info = {"features": features, "builder_name": "parquet", "dataset_name": name, "config_name": "default",
            "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0}, "splits": splits}  # fmt: skip
    (home / "dataset_info.json").write_text(json.dumps(info))


@pytest.mark.usefixtures("unreachable")
def test_an_unreachable_hub_costs_one_line_within_two_seconds(capfd: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    with pytest.raises(
        DataUnavailable, match=r"cannot be reached and no copy is cached: .*folder:PATH or parquet:PATH"
    ):
        load("hub:owner/name")
    assert time.monotonic() - begin < 2
    assert capfd.readouterr() == ("", "")


def test_a_name_that_does_not_resolve_is_an_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://nothing.invalid")
    with pytest.raises(DataUnavailable, match="cannot be reached"):
        load("hub:owner/name")


@pytest.mark.usefixtures("unreachable")
def test_fashion_mnist_names_its_own_ways_to_do_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "DEBIAN_FASHION_MNIST", tmp_path / "nowhere")
    with pytest.raises(DataUnavailable, match=r"package dataset-fashion-mnist, or .*\$GENZOO_DATA.*fashion-mnist:PATH"):
        load("fashion-mnist")


def test_offline_mode_does_not_try_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[Any] = []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket, "create_connection", lambda *a, **_: attempts.append(a))
    with pytest.raises(DataUnavailable, match="cannot be reached"):
        load("hub:owner/name")
    assert not attempts


@pytest.mark.usefixtures("unreachable")
def test_a_cached_copy_works_without_a_network(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.1)
    put_in_cache(hub_cache, "owner", "name")
    data = load("hub:owner/name")
    assert (len(data.train), len(data.test), data.shape, data.num_classes) == (8, 4, (1, 4, 4), 2)
    assert data.train.labels is not None and data.train.labels.tolist() == [0, 1] * 4
    assert data.train.images()[:, 0, 0, 0].tolist() == list(range(8))
    assert load("hub:owner/name:default").fingerprint == data.fingerprint
    with pytest.raises(DataUnavailable, match=r"no copy is cached \(Couldn't find cache for owner/name for config"):
        load("hub:owner/name:another")


@pytest.mark.usefixtures("reachable")
def test_a_reachable_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def load_dataset(repository: str, config: str | None, **_: bool) -> datasets.DatasetDict:
        asked.append((repository, config))
        return datasets.DatasetDict(train=pictures(10))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(load("hub:owner/name:small").train) == 8
    assert asked == [("owner/name", "small")]


ANSWERS = {
    "not found": (datasets.exceptions.DatasetNotFoundError("gone"), DataError, "the hub has no data set 'owner/name'"),
    "configs": (ValueError("Config name is missing.\nPick one of: a, b"), DataError, "Config name is missing."),
    "scripts": (RuntimeError("Dataset scripts are no longer supported"), DataError, "scripts are no longer supported"),
    "cut off": (TimeoutError("timed out"), DataUnavailable, r"could not be fetched \(timed out\): .*folder:PATH"),
    "full disk": (OSError(28, "No space left"), DataUnavailable, "No space left"),
}


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_failure_of_the_client_is_one_line(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    error, expected, message = ANSWERS[answer]

    def load_dataset(*_: str | None, **__: bool) -> None:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(expected, match=message) as caught:
        load("hub:owner/name")
    assert "\n" not in str(caught.value)


def test_the_way_to_the_hub_may_be_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub._address() == ("huggingface.co", 443)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert hub._address() == ("proxy.example", 3128)
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    monkeypatch.delenv("http_proxy", raising=False)
    assert hub._address() == ("mirror.example", 80)


@pytest.mark.parametrize("identifier", ["a b", "a/b/c", "../x", "/data/x"])
def test_what_cannot_be_an_id_is_refused(identifier: str) -> None:
    with pytest.raises(DataError, match="is no data set's id; it is OWNER/NAME"):
        load(f"hub:{identifier}")


def test_the_environment_is_left_alone() -> None:
    assert "HF_HUB_OFFLINE" not in os.environ and datasets.config.HF_HUB_OFFLINE is False
