"""Image sets from disk: what is read, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genzoo.errors import InvalidSamples
from genzoo.evaluation.samples import read_images, read_points


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_npz(tmp_path: Path) -> None:
    images = noise(5, 8, 6, 3)
    np.savez(tmp_path / "a.npz", arr_0=images, arr_1=np.arange(5))
    assert np.array_equal(read_images(tmp_path / "a.npz").numpy(), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_folder_of_pictures_in_the_order_of_their_names(tmp_path: Path, channels: int) -> None:
    images = noise(12, 7, 9, channels)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(tmp_path / f"{i:03d}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert np.array_equal(read_images(tmp_path).numpy(), images)


def test_pictures_in_subfolders_are_found(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    Image.fromarray(noise(4, 4)).save(tmp_path / "cats" / "a.PNG")
    assert read_images(tmp_path).shape == (1, 4, 4, 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 8, 1), np.float32), r"arr_0 is float32 \[3, 8, 8, 1\]; it must be uint8"),
        (np.zeros((3, 8, 8), np.uint8), r"uint8 \[3, 8, 8\]"),
        (np.zeros((3, 1, 8, 8), np.uint8), r"\[n, height, width, 1 or 3\]"),
        (np.zeros((0, 8, 8, 1), np.uint8), "must be uint8"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as .npz"),
    ],
)
def test_arrays_that_are_not_images(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "a.npz", arr_0=array)
    with pytest.raises(InvalidSamples, match=message) as error:
        read_images(tmp_path / "a.npz")
    assert "\n" not in str(error.value)


def test_an_npz_without_arr_0(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=noise(2, 4, 4, 1))
    with pytest.raises(InvalidSamples, match="holds images; it must hold arr_0"):
        read_images(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"plain text"])
def test_damaged_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InvalidSamples, match=r"cannot be read as \.npz"):
        read_images(tmp_path / "a.npz")


def test_a_truncated_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", arr_0=noise(50, 8, 8, 1))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidSamples, match=r"cannot be read as \.npz"):
        read_images(tmp_path / "a.npz")


def test_unreadable_pictures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    Image.fromarray(noise(4, 4)).save(tmp_path / "a.png")
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes(b"not a picture")
    with pytest.raises(InvalidSamples, match=r"2 of 3 images in .* cannot be used, first b.png"):
        read_images(tmp_path)


def test_a_picture_cut_off(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidSamples, match="1 of 1 images"):
        read_images(tmp_path)


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "CMYK"])
def test_pictures_that_would_lose_something_are_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    with pytest.raises(InvalidSamples, match=f"its mode is {mode}"):
        read_images(tmp_path)


def test_mixed_sizes_are_counted(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(noise(4, 4)).save(tmp_path / f"{i}.png")
    Image.fromarray(noise(5, 4)).save(tmp_path / "9.png")
    with pytest.raises(InvalidSamples, match="3 of 4x4x1, 1 of 5x4x1"):
        read_images(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSamples, match="holds no images"):
        read_images(tmp_path)
    with pytest.raises(InvalidSamples, match="cannot be read"):
        read_images(tmp_path / "absent.npz")
    with pytest.raises(InvalidSamples, match=r"neither an \.npz file nor a folder"):
        read_images(tmp_path / "absent.png")


def test_points(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.savez(tmp_path / "a.npz", arr_0=points)
    assert np.array_equal(read_points(tmp_path / "a.npz").numpy(), points)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 8, 1), np.uint8), r"arr_0 is uint8 \[3, 8, 8, 1\]; points are float32 \[n, 2\]"),
        (np.zeros((3, 3), np.float32), r"float32 \[3, 3\]"),
        (np.zeros((3, 2), np.int64), r"int64 \[3, 2\]"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as .npz"),
    ],
)
def test_arrays_that_are_not_points(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "a.npz", arr_0=array)
    with pytest.raises(InvalidSamples, match=message):
        read_points(tmp_path / "a.npz")
