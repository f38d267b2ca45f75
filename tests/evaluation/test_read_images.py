"""Samples from files, folders and arrays: what is read, and what is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import COLOUR, GREY, noise, picture
from PIL import Image

from genzoo.errors import InvalidSamples
from genzoo.evaluation.pictures import Wanted
from genzoo.evaluation.samples import (
    SampleSet,
    as_pictures,
    from_array,
    holds_moments,
    read_images,
    read_moments,
    read_points,
)  # fmt: skip

# Files


def test_npz(tmp_path: Path) -> None:
    images = noise(5, 8, 6, 3)
    np.savez(tmp_path / "a.npz", arr_0=images, arr_1=np.arange(5))
    found = read_images(tmp_path / "a.npz")
    assert np.array_equal(found.x.numpy(), images)
    assert (found.name, found.shape, found.preparation, len(found)) == ("a.npz", (3, 8, 6), (), 5)


def test_the_working_folder_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    picture(tmp_path / "mine", "a.png", "L")
    monkeypatch.chdir(tmp_path / "mine")
    assert read_images(Path()).name == "mine"


@pytest.mark.parametrize("channels", [1, 3])
def test_folder_of_pictures_in_the_order_of_their_names(tmp_path: Path, channels: int) -> None:
    images = noise(12, 7, 9, channels)
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(tmp_path / f"{i:03d}.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    found = read_images(tmp_path)
    assert np.array_equal(found.x.numpy(), images) and found.preparation == ()


def test_pictures_in_subfolders_are_found(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    Image.fromarray(noise(4, 4)).save(tmp_path / "cats" / "a.PNG")
    assert read_images(tmp_path).x.shape == (1, 4, 4, 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 8, 1), np.float32), r"a.npz is float32 \[3, 8, 8, 1\], not uint8: quantise it first"),
        (np.zeros((3, 8, 8, 1), np.int64), r"int64 \[3, 8, 8, 1\], not uint8"),
        (np.zeros((3, 8, 8, 1), np.complex64), "is an array of complex64"),
        (np.zeros((3, 8, 8), np.uint8), r"uint8 \[3, 8, 8\]; it must be uint8 \[n, height, width, 1 or 3\]"),
        (np.zeros((3, 1, 8, 8), np.uint8), r"\[n, height, width, 1 or 3\]"),
        (np.zeros((0, 8, 8, 1), np.uint8), "must be uint8"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as .npz"),
        (np.array(["text"]), "is an array of <U4"),
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


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"plain text", b"\x93NUMPY\x01\x00"])
def test_damaged_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InvalidSamples, match=r"cannot be read as \.npz"):
        read_images(tmp_path / "a.npz")


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 3000), flipped=st.integers(0, 3000))
def test_an_npz_that_was_damaged_anywhere_is_read_as_it_was_or_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flipped: int
) -> None:
    path, images = tmp_path_factory.mktemp("npz") / "a.npz", noise(50, 8, 8, 1)
    np.savez_compressed(path, arr_0=images)
    content = bytearray(path.read_bytes())
    content[flipped % len(content)] ^= 1
    path.write_bytes(content[: len(content) - cut % len(content)])
    try:
        assert np.array_equal(read_images(path).x.numpy(), images)
    except InvalidSamples as error:
        assert "\n" not in str(error)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSamples, match="holds no images"):
        read_images(tmp_path)
    with pytest.raises(InvalidSamples, match="cannot be read"):
        read_images(tmp_path / "absent.npz")
    with pytest.raises(InvalidSamples, match=r"neither an \.npz file nor a folder"):
        read_images(tmp_path / "absent.png")


# Pictures that cannot be read


def test_an_unreadable_picture_in_the_middle_of_a_folder_is_named(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "d.png"):
        picture(tmp_path, name, "L")
    (tmp_path / "c.png").write_bytes(b"not a picture")
    with pytest.raises(InvalidSamples, match=r"1 of 4 images in .* cannot be used, first c.png: not an image"):
        read_images(tmp_path, GREY)


def test_a_program_that_is_called_a_picture_is_not_run(tmp_path: Path) -> None:
    head = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n"
    (tmp_path / "a.png").write_bytes(head + b"0.5 setgray 0 0 4 4 rectfill\nshowpage\n%%EOF\n")
    with pytest.raises(InvalidSamples, match=r"1 of 1 images in .* cannot be used, first a.png: not an image"):
        read_images(tmp_path)


def test_unreadable_pictures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    picture(tmp_path, "a.png", "L")
    for name in ("sub/b.png", "sub/c.png"):
        (tmp_path / name).write_bytes(b"not a picture")
    with pytest.raises(InvalidSamples, match=r"2 of 3 images in .* cannot be used, first sub/b.png: not an image"):
        read_images(tmp_path)


def test_a_picture_cut_off(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidSamples, match="1 of 1 images"):
        read_images(tmp_path)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InvalidSamples, match="floating-point pixels have no range"):
        read_images(tmp_path)


# Arrays and tensors


def test_a_tensor_and_an_array_are_the_same_samples() -> None:
    images = noise(4, 8, 8, 1)
    ours, theirs = from_array("x", torch.from_numpy(images), GREY), from_array("x", images, GREY)
    assert torch.equal(ours.x, theirs.x) and ours.sha256 == theirs.sha256
    assert from_array("x", images[::2], GREY).x.shape == (2, 8, 8, 1)  # any strides


def test_one_channel_against_three_is_refused_of_arrays() -> None:
    with pytest.raises(InvalidSamples, match="x has 1 channel and the data 3: give as many"):
        from_array("x", noise(4, 8, 8, 1), COLOUR)
    with pytest.raises(InvalidSamples, match="x has 3 channels and the data 1"):
        from_array("x", torch.from_numpy(noise(4, 8, 8, 3)), GREY)


@pytest.mark.parametrize(("levels", "largest"), [(256, 1), (256, 0), (17, 16), (2, 1), (None, 1)])
def test_levels_that_were_not_spread_over_the_range_are_refused(levels: int | None, largest: int) -> None:
    images = np.full((4, 8, 8, 1), largest, np.uint8)
    with pytest.raises(InvalidSamples, match=f"x has no pixel above {largest}: spread them over 0..255"):
        from_array("x", images, Wanted((1, 8, 8), levels))
    images[0, 0, 0, 0] = 255
    assert len(from_array("x", images, Wanted((1, 8, 8), levels))) == 4


def test_what_is_drawn_becomes_pictures_of_the_wanted_kind() -> None:
    x = torch.from_numpy(noise(3, 16, 16, 3))
    found = as_pictures("x", x, GREY)
    assert found.x.shape == (3, 8, 8, 1) and len(found.preparation) == 2
    assert as_pictures("x", x, Wanted((3, 16, 16))).x is x


# Points


def test_points(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.savez(tmp_path / "a.npz", arr_0=points)
    found = read_points(tmp_path / "a.npz")
    assert np.array_equal(found.x.numpy(), points) and found.shape == (2,)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((3, 8, 8, 1), np.uint8),
            r"is uint8 \[3, 8, 8, 1\]; the data is a set of points: give float32 \[n, 2",
        ),
        (np.zeros((3, 3), np.float32), r"float32 \[3, 3\]"),
        (np.zeros((3, 2), np.int64), r"int64 \[3, 2\]"),
        (np.array([{"a": 1}], dtype=object), "cannot be read as .npz"),
    ],
)
def test_arrays_that_are_not_points(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "a.npz", arr_0=array)
    with pytest.raises(InvalidSamples, match=message):
        read_points(tmp_path / "a.npz")


def test_points_are_in_an_npz_only(tmp_path: Path) -> None:
    with pytest.raises(InvalidSamples, match=r"is no \.npz file: points are read from arr_0"):
        read_points(tmp_path)


# Published moments


def moments(path: Path, mu: np.ndarray, sigma: np.ndarray) -> Path:
    np.savez(path, mu=mu, sigma=sigma)
    return path


def test_published_moments_are_recognised_and_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 4))
    path = moments(tmp_path / "m.npz", rows.mean(0), np.cov(rows.T))
    np.savez(tmp_path / "images.npz", arr_0=noise(2, 4, 4, 1))
    assert holds_moments(path) and not holds_moments(tmp_path / "images.npz") and not holds_moments(tmp_path)
    found = read_moments(path)
    assert found.mean.dtype is torch.float64 and np.allclose(found.cov.numpy(), np.cov(rows.T), atol=0)
    assert found.sha256 != read_moments(moments(tmp_path / "n.npz", rows.mean(0) + 1, np.cov(rows.T))).sha256


@pytest.mark.parametrize(
    ("mu", "sigma", "message"),
    [
        (np.zeros(3), np.eye(4), r"mu is \[3\] and sigma \[4, 4\]; they must be \[d\] and \[d, d\]"),
        (np.zeros((3, 3)), np.eye(3), r"m.npz: mu is \[3, 3\]"),
        (np.zeros(0), np.zeros((0, 0)), "mu and sigma are empty"),
        (np.array([0, np.nan]), np.eye(2), "holds NaN or infinity"),
        (np.zeros(2), np.array([[1.0, 2.0], [0.0, 1.0]]), "sigma is not symmetric"),
        (np.zeros(2), np.array([[1.0, 3.0], [3.0, 1.0]]), r"sigma has a negative eigenvalue \(-2\)"),
    ],
)
def test_moments_that_are_none_are_refused(tmp_path: Path, mu: np.ndarray, sigma: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidSamples, match=message):
        read_moments(moments(tmp_path / "m.npz", mu, sigma))


def test_samples_are_images_by_index_without_classes() -> None:
    samples = SampleSet("x", torch.from_numpy(noise(5, 4, 4, 1)))
    assert torch.equal(samples.images(torch.tensor([3, 1])), samples.x[[3, 1]]) and samples.labels is None
