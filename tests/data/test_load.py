"""``load``: what every data set offers, fingerprints, streaming, the cache of decoded images."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genzoo.data import Data, load, pixels
from genzoo.data.catalog import POINTS
from genzoo.errors import DataError, InvalidOption

SaveImages = Callable[..., np.ndarray]


@pytest.fixture
def pictures(tmp_path: Path, save_images: SaveImages) -> Path:
    """24 grey pictures 6x5 of two classes."""
    save_images(tmp_path / "pictures" / "cat", 10, 6, 5)
    save_images(tmp_path / "pictures" / "dog", 14, 6, 5, seed=1)
    return tmp_path / "pictures"


def all_bytes(data: Data) -> bytes:
    return b"".join(split.images().numpy().tobytes() for split in (data.train, data.test))


def test_the_digits_are_built_in() -> None:
    data = load("digits")
    assert (len(data.train), len(data.test)) == (1297, 500)
    assert (data.shape, data.levels, data.num_classes, data.preprocessing) == ((1, 8, 8), 17, 10, "none")
    x = data.train.x()
    assert x.dtype == torch.float32 and x.shape == (1297, 1, 8, 8)
    assert set(x.unique().tolist()) == {2 * k / 16 - 1 for k in range(17)}
    assert set(data.train.images().unique().tolist()) == {int(255 * k / 16 + 0.5) for k in range(17)}


def test_the_digits_are_split_class_by_class() -> None:
    data = load("digits")
    assert data.train.labels is not None and data.test.labels is not None
    in_train, in_test = torch.bincount(data.train.labels), torch.bincount(data.test.labels)
    share = in_test / (in_train + in_test)
    assert (share - 500 / 1797).abs().max() < 0.005
    assert not set(map(bytes, data.train.images().numpy())) & set(map(bytes, data.test.images().numpy()))


@pytest.mark.parametrize("name", POINTS)
def test_points_are_seeded_draws_of_a_known_density(name: str) -> None:
    data = load(name)
    assert (data.shape, data.levels, data.num_classes) == ((2,), None, None)
    assert (len(data.train), len(data.test)) == (50_000, 10_000)
    assert data.density is not None and data.density.log_prob(data.test.points()).isfinite().all()
    assert torch.equal(data.train.points(), load(name).train.points())
    assert not torch.equal(data.train.points()[:10_000], data.test.points())
    assert (data.scale, data.shift) == (data.density.scale, data.density.shift)


def test_a_batch_is_rows_by_index() -> None:
    data = load("digits")
    indices = torch.tensor([5, 0, 5])
    batch = data.train.batch(indices)
    assert torch.equal(batch.x, data.train.x()[indices])
    assert batch.y is not None and data.train.labels is not None
    assert torch.equal(batch.y, data.train.labels[indices])
    assert torch.equal(data.train.images(indices), data.train.images()[indices])
    assert load("moons").train.batch(indices).y is None


def test_every_split_is_a_dataset_too() -> None:
    assert load("digits").train.dataset[0]["label"] == load("digits").train.labels[0]  # type: ignore[index]
    assert load("rings").test.dataset[0]["point"] == pytest.approx(load("rings").test.points()[0].tolist())


def test_the_fingerprint_is_of_the_content_not_of_the_place(pictures: Path, cache_folder: Path) -> None:
    first = load(f"folder:{pictures}")
    moved = pictures.rename(pictures.with_name("elsewhere"))
    assert load(f"folder:{moved}").fingerprint == first.fingerprint
    assert load(f"folder:{moved}", memory_limit=0).fingerprint == first.fingerprint


def test_another_pixel_another_label_another_size_is_another_fingerprint(pictures: Path) -> None:
    seen = [load(f"folder:{pictures}").fingerprint, load(f"folder:{pictures}", size=4).fingerprint]
    picture = np.array(Image.open(pictures / "cat" / "003.png"))
    picture[0, 0] ^= 1
    Image.fromarray(picture).save(pictures / "cat" / "003.png")
    seen.append(load(f"folder:{pictures}").fingerprint)
    (pictures / "cat" / "003.png").rename(pictures / "dog" / "100.png")
    seen.append(load(f"folder:{pictures}").fingerprint)
    assert len(set(seen)) == 4


def test_the_fingerprints_of_what_is_built_in_stand_for_years() -> None:
    """Change them only together with the data: results are filed under them."""
    assert load("digits").fingerprint.startswith("4cb57ca495ba")
    assert load("8gaussians").fingerprint.startswith("cb7f0c7ccda4")


@pytest.mark.parametrize("size", [None, 4])
def test_a_streamed_set_equals_the_one_in_memory(pictures: Path, size: int | None) -> None:
    held, streamed = (load(f"folder:{pictures}", size=size, memory_limit=limit) for limit in (1 << 30, 24 * 16 - 1))
    assert isinstance(held.train.rows, torch.Tensor) and isinstance(streamed.train.rows, pixels.Stream)
    assert (held.shape, held.fingerprint, len(held.test)) == (streamed.shape, streamed.fingerprint, len(streamed.test))
    indices = torch.tensor([7, 0, 3])
    a, b = held.train.batch(indices), streamed.train.batch(indices)
    assert torch.equal(a.x, b.x) and a.y is not None and b.y is not None and torch.equal(a.y, b.y)
    assert all_bytes(held) == all_bytes(streamed)


def test_streamed_digits_equal_the_ones_in_memory() -> None:
    held, streamed = load("digits"), load("digits", memory_limit=0)
    assert held.fingerprint == streamed.fingerprint
    assert torch.equal(held.test.x(), streamed.test.x())


def test_decoded_images_are_kept(pictures: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(f"folder:{pictures}")
    assert sorted(path.suffix for path in cache_folder.iterdir()) == [".json", ".safetensors"]
    monkeypatch.setattr(pixels.Image, "open", None)  # nothing can be decoded any more
    again = load(f"folder:{pictures}")
    assert all_bytes(again) == all_bytes(first) and again.fingerprint == first.fingerprint


def _flip_the_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


DAMAGES = {
    "flipped": _flip_the_last_byte,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "empty": lambda path: path.write_bytes(b""),
    "other": lambda path: path.write_text("[1, 2]"),
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_a_damaged_entry_is_made_again(pictures: Path, cache_folder: Path, damage: str, suffix: str) -> None:
    first = load(f"folder:{pictures}")
    (entry,) = cache_folder.glob(f"*.{suffix}")
    whole = entry.read_bytes()
    DAMAGES[damage](entry)
    again = load(f"folder:{pictures}")
    assert again.fingerprint == first.fingerprint and all_bytes(again) == all_bytes(first)
    assert entry.read_bytes() == whole


def test_a_damaged_fingerprint_of_a_streamed_set_is_made_again(pictures: Path, cache_folder: Path) -> None:
    first = load(f"folder:{pictures}", memory_limit=0)
    (entry,) = cache_folder.glob("*.json")
    entry.write_text(entry.read_text().replace(first.fingerprint, "0" * 64))
    assert load(f"folder:{pictures}", memory_limit=0).fingerprint == first.fingerprint


def test_a_cache_that_cannot_be_written_is_done_without(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENZOO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="decoded images are not kept"):
        assert len(load(f"folder:{pictures}").train) == 19


def test_nothing_is_cached_that_is_quick_to_read(cache_folder: Path) -> None:
    load("digits")
    assert not cache_folder.exists()


def test_levels_are_resized_as_pictures() -> None:
    data = load("digits", size=16)
    assert (data.shape, data.levels) == ((1, 16, 16), 256)
    assert data.preprocessing == "centre crop, resized to 16x16 (Lanczos)"
    original, resized = load("digits").train.images().double(), data.train.images().double()
    assert resized.mean().item() == pytest.approx(original.mean().item(), rel=0.05)
    assert load("digits", size=8).fingerprint == load("digits").fingerprint


def test_labels_are_required_only_where_they_are_needed(tmp_path: Path, save_images: SaveImages) -> None:
    assert load("digits").require_labels().num_classes == 10
    save_images(tmp_path / "plain", 10, 4, 4)
    unlabelled = load(f"folder:{tmp_path / 'plain'}")
    assert unlabelled.train.labels is None and unlabelled.num_classes is None
    with pytest.raises(DataError, match="has no labels, or not for every row: a conditional model needs"):
        unlabelled.require_labels()


@pytest.mark.parametrize(("name", "size"), [("digits", 0), ("digits", -3), ("8gaussians", 8)])
def test_a_size_that_makes_no_sense_is_refused(name: str, size: int) -> None:
    with pytest.raises(InvalidOption, match=f"size={size}"):
        load(name, size=size)


def test_points_are_not_pictures() -> None:
    with pytest.raises(DataError, match="points are not pictures"):
        load("moons").train.images()
    with pytest.raises(DataError, match="pictures are not points"):
        load("digits").train.points()


def test_a_wrong_path_is_told_without_importing_torch() -> None:
    code = """
import sys
from genzoo.data import load
try:
    load("folder:/nowhere")
except Exception as error:
    print(type(error).__name__, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["DataError", "False"]
