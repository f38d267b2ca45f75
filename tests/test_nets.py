"""The shared backbones take images of any size and points, and say what their docstrings say."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from genzoo.nets import (
    MLP,
    FourierFeatures,
    ResidualMLP,
    decoder,
    encoder,
    halvings,
    normalise,
    sinusoids,
    vector_field,
)

sides = st.integers(1, 37)


@given(height=sides, width=sides)
@settings(max_examples=50, deadline=None)
def test_sizes_halve_rounding_up_until_they_are_small(height: int, width: int) -> None:
    sizes = [(height, width), *halvings(height, width)]
    assert all(b == (math.ceil(a[0] / 2), math.ceil(a[1] / 2)) for a, b in itertools.pairwise(sizes))
    assert max(sizes[-1]) <= 4 and (len(sizes) == 2 or max(sizes[-2]) > 4)


@given(channels=st.sampled_from([1, 3]), height=sides, width=sides)
@settings(max_examples=20, deadline=None)
def test_images_of_any_size_are_encoded_and_decoded(channels: int, height: int, width: int) -> None:
    shape = (channels, height, width)
    vectors = encoder(shape, 5, 8)(torch.randn(2, *shape))
    assert vectors.shape == (2, 5)
    assert decoder(5, shape, 8)(vectors).shape == (2, *shape)


def test_every_pixel_is_read_and_written() -> None:
    """Odd sizes are padded by repeating the edge, so the last row and column count like the others."""
    shape = (1, 7, 5)
    x = torch.randn(1, *shape, requires_grad=True)
    encoder(shape, 3, 8)(x).sum().backward()
    assert (x.grad != 0).all()
    z = torch.randn(2, 4)
    assert (decoder(4, shape, 8)(z).std(0) > 0).all()


def test_points_are_encoded_and_decoded_by_three_hidden_layers() -> None:
    for net, fan_in, fan_out in ((encoder((2,), 5, 16), 2, 5), (decoder(5, (2,), 16), 5, 2)):
        widths = [layer.out_features for layer in net.modules() if isinstance(layer, nn.Linear)]
        assert widths == [16, 16, 16, fan_out]
        assert net(torch.randn(3, fan_in)).shape == (3, fan_out)


def test_every_weighted_layer_is_wrapped() -> None:
    net = MLP([2, 8, 8, 1], wrap=spectral_norm)
    assert [hasattr(layer, "parametrizations") for layer in net if isinstance(layer, nn.Linear)] == [True] * 3


def test_the_nonlinearity_stands_between_layers_and_not_after_the_last() -> None:
    net = MLP([1, 4, 4, 1], activation=nn.ReLU)
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_fourier_features_are_the_data_with_cosines_and_sines_of_fixed_frequencies() -> None:
    features = FourierFeatures(2, num_frequencies=3, bandwidth=5.0)
    x = torch.randn(4, 2)
    angles = x @ features.frequencies
    assert torch.allclose(features(x), torch.cat([x, torch.cos(angles), torch.sin(angles)], 1))
    assert features.out == features(x).shape[1] == 2 + 6
    assert list(features.parameters()) == [] and "frequencies" in features.state_dict()
    assert FourierFeatures(50, 200, bandwidth=5.0).frequencies.std().item() == pytest.approx(5.0, rel=0.05)


def test_sinusoids_are_the_transformer_s() -> None:
    t = torch.tensor([0.0, 1.0, 250.0])
    embedded = sinusoids(t, 8)
    for i in range(4):
        angle = t / 10_000 ** (2 * i / 8)
        assert torch.allclose(embedded[:, i], angle.cos(), atol=1e-5)
        assert torch.allclose(embedded[:, 4 + i], angle.sin(), atol=1e-5)


def test_the_residual_net_depends_on_every_coordinate_and_on_time() -> None:
    net = ResidualMLP(2, 16, 2)
    x, t = torch.randn(3, 2, requires_grad=True), torch.tensor([0.1, 0.5, 0.9], requires_grad=True)
    assert net(x, t).shape == (3, 2)
    net(x, t).square().sum().backward()
    assert (x.grad != 0).all() and (t.grad != 0).all()


def test_however_far_a_point_strays_the_residual_net_answers_with_a_multiple_of_it_and_a_bounded_rest() -> None:
    net = ResidualMLP(2, 16, 3)
    for name, parameter in net.named_parameters():
        if not name.startswith("gain"):
            nn.init.normal_(parameter, std=2.0)  # each block alone would multiply a state by more than a hundred
    rest = net(1e6 * torch.randn(100, 2), torch.rand(100))
    most = math.sqrt(16) * net.out.weight.abs().sum(1) + net.out.bias.abs()  # no normalised number exceeds sqrt(width)
    assert (rest.abs() <= most).all()


@given(channels=st.sampled_from([1, 3]), height=st.integers(4, 33), width=st.integers(4, 33))
@settings(max_examples=10, deadline=None)
def test_the_unet_takes_images_of_any_size_and_makes_as_many_pictures_as_asked(
    channels: int, height: int, width: int
) -> None:
    shape = (channels, height, width)
    x, t = torch.randn(2, *shape), torch.tensor([0.1, 0.9])
    assert vector_field(shape, width=8)(x, t).shape == (2, *shape)
    assert vector_field(shape, width=8, outputs=2)(x, t).shape == (2, 2 * channels, height, width)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_noise_level_and_class_change_what_a_vector_field_says(shape: tuple[int, ...]) -> None:
    net = vector_field(shape, width=16, num_classes=3)
    for parameter in net.parameters():  # it starts at zero
        nn.init.normal_(parameter, std=0.1)
    x, t = torch.randn(4, *shape), torch.full((4,), 0.5)
    plain = net(x, t)
    assert not torch.allclose(plain, net(x, t / 2)) and not torch.allclose(plain, net(x, t, torch.tensor([0, 1, 2, 0])))
    assert torch.equal(plain, net(x, t, torch.full((4,), 3)))  # the index after the last class is no class
    assert torch.allclose(net(x[1:2], t[1:2]), plain[1:2], atol=1e-5)  # examples do not see each other


def test_normalised_pictures_have_mean_0_and_variance_1_however_they_lie_in_memory() -> None:
    h = 3 + 2 * torch.randn(5, 4, 6, 7)
    out = normalise(h)
    assert torch.allclose(out.flatten(1).mean(1), torch.zeros(5), atol=1e-5)
    assert torch.allclose(out.flatten(1).std(1, correction=0), torch.ones(5), atol=1e-4)
    assert torch.allclose(out, torch.nn.functional.group_norm(h, 1), atol=1e-5)
    assert torch.allclose(out, normalise(h.to(memory_format=torch.channels_last)), atol=1e-5)
