"""Samples are made comparable: modes are converted, sizes resized, levels rounded, and it is said."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import COLOUR, GREY, noise, picture
from PIL import Image

from genzoo.errors import InvalidSamples
from genzoo.evaluation.pictures import Wanted
from genzoo.evaluation.samples import as_pictures, from_array, read_images
from genzoo.images import quantise, to_unit

# Modes: every one is converted, and it is said


@pytest.mark.parametrize(
    ("mode", "suffix", "said"),
    [
        ("1", "png", ()),
        ("L", "png", ()),
        ("LA", "png", ("1 of 1 images laid over white",)),
        ("I;16", "png", ("1 of 1 images from 16 to 8 bits",)),
        ("RGB", "png", ("1 of 1 images from colour to grey (luma, ITU-R 601-2)",)),
        ("P", "png", ("1 of 1 images from P to RGB", "1 of 1 images from colour to grey (luma, ITU-R 601-2)")),
        ("RGBA", "png", ("1 of 1 images laid over white", "1 of 1 images from colour to grey (luma, ITU-R 601-2)")),
        ("CMYK", "tif", ("1 of 1 images from CMYK to RGB", "1 of 1 images from colour to grey (luma, ITU-R 601-2)")),
        ("YCbCr", "jpg", ("1 of 1 images from colour to grey (luma, ITU-R 601-2)",)),
    ],
)
def test_pictures_of_any_mode_become_grey_where_grey_is_wanted(
    tmp_path: Path, mode: str, suffix: str, said: tuple[str, ...]
) -> None:
    picture(tmp_path, f"a.{suffix}", mode)
    found = read_images(tmp_path, GREY)
    assert found.x.shape == (1, 8, 8, 1) and found.x.dtype is torch.uint8
    assert found.preparation == said


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "RGB", "P", "RGBA", "CMYK"])
def test_pictures_of_any_mode_become_colour_where_colour_is_wanted(tmp_path: Path, mode: str) -> None:
    picture(tmp_path, "a.tif" if mode == "CMYK" else "a.png", mode)
    found = read_images(tmp_path, COLOUR)
    assert found.x.shape == (1, 8, 8, 3)
    repeated = "1 of 1 images from grey to three equal channels" in found.preparation
    assert repeated == (mode in ("1", "L", "LA", "I;16"))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 3] = np.linspace(0, 255, 8).astype(np.uint8)  # black, from clear on the left to solid on the right
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    row = read_images(tmp_path, COLOUR).x[0, 0, :, 0].int()
    assert torch.equal(row, 255 - torch.linspace(0, 255, 8).int())


def test_sixteen_bits_are_rounded_to_eight(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257, 65535, 65406, 385, 386]] * 8, np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert read_images(tmp_path, GREY).x[0, 0, :, 0].tolist() == [0, 0, 1, 1, 255, 254, 1, 2]


def test_equal_channels_are_one_without_loss(tmp_path: Path) -> None:
    image = noise(8, 8)
    Image.fromarray(np.repeat(image[..., None], 3, 2)).save(tmp_path / "a.png")
    found = read_images(tmp_path, GREY)
    assert np.array_equal(found.x[0, ..., 0].numpy(), image)
    assert found.preparation == ("1 of 1 images from three equal channels to grey",)


def test_a_camera_s_orientation_is_applied(tmp_path: Path) -> None:
    image, exif = Image.fromarray(noise(8, 8)), Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.png", exif=exif)
    found = read_images(tmp_path, GREY)
    assert np.array_equal(found.x[0, ..., 0].numpy(), noise(8, 8)[::-1, ::-1])
    assert found.preparation == ("1 of 1 images turned upright",)


def test_what_is_measured_against_may_mix_grey_and_colour_but_not_sizes(tmp_path: Path) -> None:
    picture(tmp_path, "a.png", "L")
    picture(tmp_path, "b.png", "RGB")
    assert read_images(tmp_path).x.shape == (2, 8, 8, 3)
    picture(tmp_path, "c.png", "RGB", size=(9, 8))
    with pytest.raises(InvalidSamples, match="2 of 8x8x3, 1 of 8x9x3") as error:
        read_images(tmp_path)
    assert "must have one size" in str(error.value)


# Sizes: resized with antialiasing, and it is said


@pytest.mark.parametrize("name", ["bicubic", "lanczos", "bilinear", "box"])
def test_another_size_is_resized_as_pillow_does_it(tmp_path: Path, name: str) -> None:
    picture(tmp_path, "a.png", "L", size=(20, 12))
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(image.resize((8, 8), getattr(Image.Resampling, name.upper())))
    found = read_images(tmp_path, Wanted((1, 8, 8), 256, name))
    assert np.array_equal(found.x[0, ..., 0].numpy(), expected)
    assert found.preparation == (f"1 of 1 images resized to 8x8 ({name}, antialiased)",)


def test_a_checkerboard_made_small_is_grey_because_the_filter_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    small = from_array("board", board.astype(np.uint8)[None, ..., None], GREY).x
    assert small.min() >= 125 and small.max() <= 130


def test_mixed_sizes_all_become_the_size_that_is_wanted(tmp_path: Path) -> None:
    for i, size in enumerate([(8, 8), (16, 8), (5, 5)]):
        picture(tmp_path, f"{i}.png", "RGB", size=size)
    found = read_images(tmp_path, COLOUR)
    assert found.x.shape == (3, 8, 8, 3)
    assert found.preparation == ("2 of 3 images resized to 8x8 (bicubic, antialiased)",)


def test_another_size_is_refused_where_nothing_may_be_resized(tmp_path: Path) -> None:
    picture(tmp_path, "a.png", "L", size=(9, 8))
    with pytest.raises(InvalidSamples, match=r"1 of 1 images in .* cannot be used, first a.png: it is 9x8, not 8x8"):
        read_images(tmp_path, Wanted((1, 8, 8), 256, "none"))
    with pytest.raises(InvalidSamples, match="x cannot be compared: it is 9x8, not 8x8; --resize bicubic resizes"):
        from_array("x", noise(2, 8, 9, 1), Wanted((1, 8, 8), 256, "none"))


# Levels


def test_pixels_between_the_data_s_levels_are_rounded_to_them_whatever_the_source(tmp_path: Path) -> None:
    images = noise(6, 8, 8, 1)
    images[0] = quantise(to_unit(torch.from_numpy(images[:1]), 256), 17)[0].numpy()  # lies on the levels already
    np.savez(tmp_path / "a.npz", arr_0=images)
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(tmp_path / "folder" / f"{i}.png")
    wanted = Wanted((1, 8, 8), 17)
    for found in (
        from_array("array", images, wanted),
        from_array("tensor", torch.from_numpy(images), wanted),
        read_images(tmp_path / "a.npz", wanted),
        read_images(tmp_path / "folder", wanted),
        as_pictures("pipeline", torch.from_numpy(images), wanted),
    ):
        assert torch.equal(found.x, quantise(to_unit(torch.from_numpy(images), 256), 17)), found.name
        assert found.preparation == ("5 of 6 images rounded to 17 levels",)


def test_resizing_comes_before_rounding() -> None:
    found = from_array("a", noise(3, 16, 16, 1), Wanted((1, 8, 8), 17))
    assert len(found.x.unique()) <= 17
    assert found.preparation[1:] == ("3 of 3 images rounded to 17 levels",) and "resized" in found.preparation[0]
