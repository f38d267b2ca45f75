"""Features on disk: by content, whole or not at all, whoever else is writing."""

import socket
import warnings
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genzoo.evaluation.cache import FeatureCache
from genzoo.evaluation.extractors import load_extractor
from genzoo.evaluation.features import content_hash, extract, extract_cached

KEY = ("a" * 64, "b" * 64)


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def features(n: int = 20, seed: int = 0) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def entry(cache: FeatureCache) -> Path:
    """Its one file."""
    (path,) = cache.folder.iterdir()
    return path


def test_it_is_a_mapping_that_outlives_the_process(tmp_path: Path) -> None:
    FeatureCache(tmp_path)[KEY] = features()
    cache = FeatureCache(tmp_path)
    assert torch.equal(cache[KEY], features()) and list(cache) == [KEY] and len(cache) == 1
    del cache[KEY]
    assert KEY not in cache and len(cache) == 0
    for missing in (lambda: cache[KEY], lambda: cache.pop(KEY)):
        with pytest.raises(KeyError):
            missing()


def test_features_are_extracted_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, extractor = noise(30, 8, 8, 1), load_extractor("cnn8")
    first = extract_cached(images, extractor, FeatureCache(tmp_path))
    monkeypatch.setattr("genzoo.evaluation.features.extract", lambda *_, **__: pytest.fail("it extracts again"))
    assert torch.equal(extract_cached(images.clone(), extractor, FeatureCache(tmp_path)), first)


def test_other_images_under_an_old_name_are_extracted_anew(tmp_path: Path) -> None:
    """The stale-cache attack: one pixel differs, the variable, the folder and the shape are the same."""
    images, extractor, cache = noise(30, 8, 8, 1), load_extractor("cnn8"), FeatureCache(tmp_path)
    extract_cached(images, extractor, cache)
    images[0, 0, 0, 0] ^= 255
    assert torch.equal(extract_cached(images, extractor, cache), extract(images, extractor))
    assert torch.equal(
        extract_cached(images, load_extractor("rand28"), cache), extract(images, load_extractor("rand28"))
    )
    assert len(cache) == 3


def test_two_extractors_of_one_file_of_weights_share_nothing(tmp_path: Path) -> None:
    images, cache = noise(30, 8, 8, 1), FeatureCache(tmp_path)
    one, other = load_extractor("cnn8"), replace(load_extractor("rand28"), sha256=load_extractor("cnn8").sha256)
    extract_cached(images, one, cache)
    assert torch.equal(extract_cached(images, other, cache), extract(images, other))


@pytest.mark.parametrize(
    "damage", ["truncated", "flipped in the numbers", "flipped in the hash", "empty", "other file"]
)
def test_a_damaged_entry_is_noticed_said_and_rebuilt(tmp_path: Path, damage: str) -> None:
    images, extractor, cache = noise(30, 8, 8, 1), load_extractor("cnn8"), FeatureCache(tmp_path)
    whole = extract_cached(images, extractor, cache)
    content = bytearray(entry(cache).read_bytes())
    if damage == "flipped in the numbers":
        content[-5] ^= 1
    elif damage == "flipped in the hash":
        content[content.index(b'"sha256":"') + 12] ^= 1
    else:
        content = {"truncated": content[:-100], "empty": bytearray(), "other file": bytearray(b"{}" * 50)}[damage]
    entry(cache).write_bytes(content)
    with pytest.warns(UserWarning, match=r"cached features .* are damaged \(.*\): they are extracted again") as said:
        assert torch.equal(extract_cached(images, extractor, cache), whole)
    assert len(said) == 1 and "\n" not in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(cache[content_hash(images), extractor.key], whole)


def test_a_folder_that_refuses_costs_time_and_not_the_result(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    images, extractor = noise(30, 8, 8, 1), load_extractor("cnn8")
    with pytest.warns(UserWarning, match="features are not kept"):
        found = extract_cached(images, extractor, FeatureCache(tmp_path / "in the way" / "cache"))
    assert torch.equal(found, extract(images, extractor))


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    size = 0
    for i in range(4):
        cache = FeatureCache(tmp_path, limit=3 * size or 1 << 20)
        cache[f"{i}", "x"] = features(seed=i)
        size = size or entry(cache).stat().st_size
        if i == 2:
            assert torch.equal(cache["0", "x"], features())  # used: the second is now the oldest
    assert sorted(images for images, _ in cache) == ["0", "2", "3"]
    one = FeatureCache(tmp_path, limit=1)
    one["4", "x"] = features()
    assert list(one) == [("4", "x")]  # the newest stays, however large


def fill(folder: Path, turns: int) -> None:
    """Write and read the same entries, again and again; any that is not whole is an error."""
    warnings.simplefilter("error")
    cache = FeatureCache(folder, limit=3000)
    for turn in range(turns):
        key = (f"{turn % 5}", "x")
        try:
            found = cache[key]
        except KeyError:
            cache[key] = features(seed=turn % 5)
        else:
            assert torch.equal(found, features(seed=turn % 5))


def test_processes_that_fill_one_cache_at_once_leave_whole_entries(tmp_path: Path) -> None:
    """Room for about three of five entries: they write, read and delete each other's all the time."""
    context = get_context("fork")
    processes = [context.Process(target=fill, args=(tmp_path, 300)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    cache = FeatureCache(tmp_path)
    assert all(torch.equal(cache[key], features(seed=int(key[0]))) for key in cache)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_no_connection_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket is opened"))
    extract_cached(noise(10, 8, 8, 1), load_extractor("cnn8"), FeatureCache(tmp_path))
