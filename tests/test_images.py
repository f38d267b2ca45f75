import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from genzoo.images import grid, is_image, laid_out, on_levels, quantise, to_levels, to_uint8, to_unit


def one_row(values):
    """A picture of one row: [1, 1, 1, w]."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def test_an_image_has_three_dimensions_and_a_point_one():
    assert is_image((1, 8, 8))
    assert not is_image((2,))


def test_pictures_are_laid_out_with_channels_last_and_points_as_they_were():
    pictures, points = torch.randn(2, 3, 4, 4), torch.randn(5, 2)
    assert laid_out(pictures).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(laid_out(pictures), pictures) and laid_out(points) is points


def test_a_model_s_kernels_are_laid_out_and_nothing_else_is_touched():
    """In place, so that an optimizer that holds them goes on with them; volumes of five dimensions have no such way."""
    model = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), "volume": nn.Conv3d(2, 2, 3), "line": nn.Linear(2, 2)})
    before = {name: (id(p), p.stride(), p.clone()) for name, p in model.named_parameters()}
    assert laid_out(model) is model
    for name, parameter in model.named_parameters():
        same, stride, value = before[name]
        assert id(parameter) == same and torch.equal(parameter, value)
        assert (parameter.stride() != stride) == (name == "conv.weight")
    assert model["conv"].weight.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=20, deadline=None)
@given(levels=st.integers(2, 256), seed=st.integers(0, 99))
def test_levels_survive_the_way_to_the_unit_interval_and_back(levels, seed):
    pictures = torch.randint(levels, (2, 3, 4, 3), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)
    x = to_unit(pictures, levels)
    assert x.shape == (2, 3, 3, 4)
    assert x.dtype == torch.float32
    assert x.min() >= -1
    assert x.max() <= 1
    assert torch.equal(to_levels(x, levels), pictures)


def test_the_lowest_level_is_minus_one_and_the_highest_one():
    levels = torch.tensor([0, 8, 16], dtype=torch.uint8).view(1, 1, 3, 1)
    assert to_unit(levels, 17).flatten().tolist() == [-1.0, 0.0, 1.0]


def test_half_a_level_rounds_up_and_never_to_even():
    halves = [(k + 0.5) / 8 - 1 for k in range(16)]  # exact in binary
    assert to_levels(one_row(halves), 17).flatten().tolist() == list(range(1, 17))


def test_the_quantiser_is_the_stated_formula_for_256_levels():
    x = torch.linspace(-1.3, 1.3, 1001)
    expected = np.floor(np.clip(255 * (x.numpy().astype(np.float64) + 1) / 2, 0, 255) + 0.5)
    assert quantise(x.view(1, 1, 1, -1), 256).flatten().tolist() == expected.tolist()


def test_what_lies_outside_the_range_is_clipped_and_never_stretched():
    assert quantise(one_row([-50.0, 0.0, 0.5]), 256).flatten().tolist() == [0, 128, 191]


def test_seventeen_levels_are_rounded_to_their_own_greys():
    greys = quantise(torch.linspace(-1, 1, 999).view(1, 1, 27, 37), 17)
    assert sorted(set(greys.flatten().tolist())) == [(255 * k + 8) // 16 for k in range(17)]


def test_256_levels_are_their_own_uint8():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1)
    assert torch.equal(to_uint8(levels, 256), levels)


def test_colour_channels_come_last():
    x = torch.full((1, 3, 2, 2), -1.0)
    x[:, 2] = 1.0
    assert quantise(x, 256)[0, 0, 0].tolist() == [0, 0, 255]


def test_a_grid_tiles_row_by_row_with_padding():
    images = torch.arange(1, 4, dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 2, 2, 1)
    sheet = np.asarray(grid(images, columns=2, pad=1))
    assert sheet.shape == (2 * 3 + 1, 2 * 3 + 1)
    assert sheet[1, 1] == 1
    assert sheet[1, 4] == 2
    assert sheet[4, 1] == 3
    assert sheet[4, 4] == 128  # an empty place has the padding's grey


def test_a_grid_enlarges_pixels_without_smoothing():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1)
    sheet = np.asarray(grid(images, scale=3, pad=0))
    assert sheet.shape == (3, 6)
    assert set(sheet[:, :3].flatten()) == {0}
    assert set(sheet[:, 3:].flatten()) == {255}


@given(levels=st.integers(2, 256))
def test_pixels_are_rounded_to_the_nearest_level_and_levels_stay(levels):
    greys = to_uint8(torch.arange(levels, dtype=torch.uint8), levels).numpy()
    rounded = on_levels(np.arange(256, dtype=np.uint8).reshape(16, 16), levels).flatten()
    assert np.array_equal(on_levels(greys, levels), greys) and set(rounded) == set(greys)
    exact = np.linspace(0, 255, levels)
    assert np.all(np.abs(exact[np.searchsorted(greys, rounded)] - np.arange(256)) <= 255 / (levels - 1) / 2 + 1e-9)
