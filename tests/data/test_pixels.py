"""Decoding: colour spaces, transparency, depth, orientation, resizing, and images that are broken."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from genzoo.data import load
from genzoo.data.sources import IMAGE_SUFFIXES
from genzoo.errors import DataError

SaveImages = Callable[..., np.ndarray]


def save_twice(folder: Path, image: Image.Image, suffix: str = ".png", **options: object) -> str:
    """A data set of two copies of one image: one to train on, one to test on."""
    folder.mkdir()
    for i in range(2):
        image.save(folder / f"{i}{suffix}", **options)
    return f"folder:{folder}"


def decoded(folder: Path, image: Image.Image, suffix: str = ".png", **options: object) -> np.ndarray:
    """What the image becomes, [h, w, c]."""
    return load(save_twice(folder, image, suffix, **options)).train.images()[0].numpy()


def test_8_bit_grey_and_colour_pass_unchanged(tmp_path: Path, save_images: SaveImages) -> None:
    for name, shape in {"grey": (5, 3, 4), "colour": (5, 3, 4, 3)}.items():
        saved = save_images(tmp_path / name, *shape)
        data = load(f"folder:{tmp_path / name}")
        pictures = torch.cat([data.train.images(), data.test.images()]).numpy()
        assert data.shape == (1 if name == "grey" else 3, 3, 4)
        assert sorted(map(bytes, pictures)) == sorted(map(bytes, saved))


def test_one_colour_image_makes_a_set_of_colour(tmp_path: Path, save_images: SaveImages) -> None:
    save_images(tmp_path / "set" / "grey", 9, 4, 4)
    save_images(tmp_path / "set" / "colour", 1, 4, 4, 3)
    data = load(f"folder:{tmp_path / 'set'}")
    assert data.shape == (3, 4, 4)
    greys = data.test.images()
    assert torch.equal(greys[..., 0], greys[..., 2])


def test_what_is_transparent_becomes_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    half.putpixel((1, 0), (10, 20, 30, 0))
    assert decoded(tmp_path / "rgba", half).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert decoded(tmp_path / "la", Image.new("LA", (1, 1), (0, 0))).tolist() == [[[255]]]
    keyed = Image.new("P", (1, 1), 3)
    keyed.putpalette([0, 0, 0] * 4)
    assert decoded(tmp_path / "p", keyed, transparency=3).tolist() == [[[255, 255, 255]]]


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    image = Image.new("P", (1, 1), 1)
    image.putpalette([0, 0, 0, 9, 8, 7])
    assert decoded(tmp_path / "set", image).tolist() == [[[9, 8, 7]]]


def test_black_and_white_takes_both_ends(tmp_path: Path) -> None:
    assert decoded(tmp_path / "set", Image.new("1", (1, 1), 1)).tolist() == [[[255]]]


@settings(max_examples=5, deadline=None)
@given(values=st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
def test_16_bits_are_rounded_to_8(tmp_path_factory: pytest.TempPathFactory, values: list[int]) -> None:
    deep = Image.fromarray(np.array(values, dtype=np.uint16).reshape(2, 2))
    picture = decoded(tmp_path_factory.mktemp("deep") / "set", deep)
    assert picture.reshape(-1).tolist() == [int(v / 257 + 0.5) for v in values]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    assert decoded(tmp_path / "set", Image.new("CMYK", (1, 1), (0, 0, 0, 0)), ".tif").tolist() == [[[255, 255, 255]]]


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    name = save_twice(tmp_path / "set", Image.new("F", (1, 1), 0.5), ".tif")
    with pytest.raises(DataError, match=r"2 of 2 images cannot be read: set/.\.tif \(floating-point pixels"):
        load(name)


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6  # turn by 90 degrees clockwise
    image = Image.new("L", (8, 16), 0)
    ImageDraw.Draw(image).rectangle((0, 8, 7, 15), fill=255)  # the lower half is white: the left, once turned
    picture = decoded(tmp_path / "set", image, ".jpg", exif=tags, quality=95)
    assert picture.shape == (8, 16, 1)
    assert picture[:, :8].mean() > 250 and picture[:, 8:].mean() < 5


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (2, 2), value) for value in (10, 200)]
    picture = decoded(tmp_path / "set", frames[0], ".gif", save_all=True, append_images=frames[1:])
    assert np.unique(picture).tolist() == [10]


def test_resizing_crops_the_longer_side_about_the_centre(tmp_path: Path) -> None:
    wide = Image.new("L", (12, 4), 0)
    ImageDraw.Draw(wide).rectangle((4, 0, 7, 3), fill=255)
    data = load(save_twice(tmp_path / "set", wide), size=2)
    assert data.train.images().unique().tolist() == [255] and data.shape == (1, 2, 2)


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (32, 16)))
    picture = load(save_twice(tmp_path / "set", stripes), size=4).train.images()
    assert picture.min() > 100 and picture.max() < 155


def test_mixed_sizes_are_named_with_their_counts(tmp_path: Path, save_images: SaveImages) -> None:
    save_images(tmp_path / "set" / "a", 7, 4, 6)
    save_images(tmp_path / "set" / "b", 2, 5, 5)
    name = f"folder:{tmp_path / 'set'}"
    with pytest.raises(DataError, match=r"6x4 \(7 images, as a/...\.png\), 5x5 \(2 .*b/...\.png\); give size=N"):
        load(name)
    assert load(name, size=4).shape == (1, 4, 4)


def test_images_that_cannot_be_read_are_named_and_counted(tmp_path: Path, save_images: SaveImages) -> None:
    folder = tmp_path / "set"
    save_images(folder, 10, 40, 40)
    (folder / "003.png").write_text("not an image at all")
    (folder / "007.png").write_bytes((folder / "007.png").read_bytes()[:600])
    (folder / "008.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load(f"folder:{folder}")
    message = str(caught.value)
    assert "3 of 10 images cannot be read" in message and "\n" not in message
    assert all(f"set/00{i}.png" in message for i in (3, 7, 8))


def test_a_program_under_the_name_of_a_picture_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("PostScript is run"))
    with pytest.raises(DataError, match=r"2 of 2 images cannot be read: set/0\.png \(not an image\)"):
        load(save_twice(tmp_path / "set", Image.new("L", (4, 4)), ".png", format="EPS"))


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_suffix_that_is_looked_for_is_of_a_format_that_is_opened(tmp_path: Path, suffix: str) -> None:
    picture = Image.new("1" if suffix == ".pbm" else "L", (4, 4))
    assert decoded(tmp_path / "set", picture, suffix).shape[:2] == (4, 4)


def test_many_broken_images_are_named_in_part(tmp_path: Path, save_images: SaveImages) -> None:
    save_images(tmp_path / "set", 6, 4, 4)
    for path in (tmp_path / "set").iterdir():
        path.write_text("broken")
    with pytest.raises(DataError, match=r"6 of 6 images cannot be read: .* and 3 more; repair or remove them"):
        load(f"folder:{tmp_path / 'set'}")


def test_an_image_that_breaks_while_it_is_streamed_is_named(tmp_path: Path, save_images: SaveImages) -> None:
    save_images(tmp_path / "set", 5, 4, 4)
    data = load(f"folder:{tmp_path / 'set'}", memory_limit=0)
    for path in (tmp_path / "set").iterdir():
        path.write_text("broken")
    with pytest.raises(DataError, match=r"set/00.\.png \(not an image\)"):
        data.train.batch(torch.tensor([0]))
