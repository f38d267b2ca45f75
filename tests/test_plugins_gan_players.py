"""The players: their nets, sizes and norms by hand, and what labels do to both."""

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from genzoo.capabilities import Conditional, labelled, supports
from genzoo_gan.critics import ResidualCritic
from genzoo_gan.dcgan import DCGAN
from genzoo_gan.layers import ClassBatchNorm, Projection, Upsample, shuffle
from genzoo_gan.sngan import SNGAN

MODELS = (DCGAN, SNGAN)
SMALL: dict[str, Any] = {"latent": 2, "width": 8}
GREY = (1, 8, 8)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 13, 21), (2,), (5,)])
def test_players_of_any_shape(make: type[SNGAN], shape: tuple[int, ...]) -> None:
    model = make(shape, **SMALL)
    made = model.decode(torch.randn(4, 2))
    assert made.shape == (4, *shape) and model.discriminate(made).shape == (4,)
    assert len(shape) == 1 or made.abs().max() <= 1


def test_the_sizes_that_the_generators_pass_through() -> None:
    """28 pixels a side come from 7 and 14."""
    residual, transposed = SNGAN((1, 28, 28), **SMALL).generator, DCGAN((1, 28, 28), **SMALL).generator
    assert residual.first[1:] == (7, 7) and residual.ups[1].size == (14, 14) and residual.patch == 2
    assert transposed.first[1:] == (7, 7) and [tuple(s) for s in transposed.sizes] == [(14, 14), (28, 28)]


def test_dcgan_s_weights_start_small() -> None:
    model = DCGAN((1, 28, 28))
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    assert len(weights) == 6
    assert all(w.std().item() == pytest.approx(0.02, rel=0.1) and abs(w.mean()) < 2e-3 for w in weights)


@pytest.mark.parametrize(("make", "options"), [(SNGAN, {}), (DCGAN, {"latent": 116})])
def test_two_million_parameters_make_a_picture_of_fashion_mnist(make: type[SNGAN], options: dict[str, int]) -> None:
    model = make((1, 28, 28), **options)
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    assert sizes["generator"] == pytest.approx(2e6, rel=0.05) and sizes["critic"] < 2e6


def test_the_shuffle_puts_quarters_of_the_channels_into_squares() -> None:
    h = torch.arange(8.0).view(1, 8, 1, 1)  # two channels of a square each
    assert shuffle(h)[0].tolist() == [[[0, 2], [4, 6]], [[1, 3], [5, 7]]]


def test_the_shuffle_loses_nothing_and_is_pixel_shuffle_but_for_the_order_of_channels() -> None:
    h = torch.randn(2, 12, 3, 5)
    reordered = h.view(2, 4, 3, 3, 5).transpose(1, 2).reshape(2, 12, 3, 5)
    assert torch.equal(shuffle(h), torch.pixel_shuffle(reordered, 2))


def test_upsampling_starts_as_nearest_neighbours() -> None:
    up, h = Upsample(6, 5, (5, 7)), torch.randn(2, 6, 3, 4)
    small = nn.functional.conv2d(h, up.conv.weight[:5])
    wanted = nn.functional.interpolate(small, scale_factor=2)[:, :, :5, :7]
    assert torch.allclose(up(h), wanted, atol=1e-6)


def test_the_critic_s_norm_can_be_left_to_a_penalty() -> None:
    free, bound = (SNGAN(GREY, spectral=spectral, **SMALL).critic for spectral in (False, True))
    assert not any("parametrizations" in name for name, _ in free.named_parameters()) and free.gain == 1
    assert all("parametrizations" in name for name, _ in bound.named_parameters() if "weight" in name)
    assert bound.gain == 10


def test_a_bound_is_refused_where_nothing_keeps_it() -> None:
    with pytest.raises(ValueError, match="lipschitz=10 is of a normalised critic"):
        SNGAN(GREY, spectral=False, lipschitz=10.0, **SMALL)


def test_the_critic_of_points_is_no_steeper_than_it_says() -> None:
    """Every linear layer has spectral norm 1 and a leaky ReLU none above, so |c(x) - c(y)| <= L |x - y|."""
    torch.manual_seed(0)
    model = SNGAN((2,), width=8, lipschitz=10.0)
    for _ in range(200):  # the power iteration settles
        model.discriminate(torch.randn(2, 2))
    x = torch.randn(500, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(model.eval().discriminate(x).sum(), x)
    assert 0.1 < slope.norm(dim=1).max().item() <= 10.01


def test_every_weight_of_the_residual_critic_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    critic, x = ResidualCritic((1, 28, 28), 8, num_classes=3), torch.randn(2, 1, 28, 28)
    for _ in range(100):
        critic(x, torch.tensor([0, 1]))
    layers = [m for m in critic.eval().modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    norms = [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() for layer in layers]
    assert len(norms) == 8 and norms == pytest.approx([1.0] * len(norms), abs=0.02)


# Labels


def test_the_projection_s_algebra() -> None:
    """w . phi + b + v_y . phi."""
    head, phi, y = Projection(4, 3, lambda layer: layer), torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    w, b, v = head.linear.weight[0], head.linear.bias, head.classes.weight
    wanted = [(w @ phi[i] + b + v[y[i]] @ phi[i]).item() for i in range(5)]
    assert head(phi, y).tolist() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_no_class_adds_nothing_to_the_projection() -> None:
    head, phi = Projection(4, 3, lambda layer: layer), torch.randn(5, 4)
    assert torch.equal(head(phi, torch.full((5,), 3)), head(phi, None))


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1, 2, 0, 1])])
def test_the_projection_is_computed_in_float32(labels: torch.Tensor | None) -> None:
    """Of what comes in bfloat16, also within the host's autocast."""
    head, phi = Projection(64, 3, lambda layer: layer), torch.randn(5, 64).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(phi, labels)
    assert torch.equal(logits, head(phi.float(), labels)) and logits.dtype == torch.float32


def test_a_norm_told_of_classes_is_one_norm_and_a_gain_and_bias_for_each() -> None:
    norm, h, y = ClassBatchNorm(2, 3), torch.randn(6, 2, 3, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    plain = nn.functional.batch_norm(h, None, None, training=True)
    assert torch.allclose(norm(h, y), plain, atol=1e-6)
    nn.init.normal_(norm.gains.weight)
    nn.init.normal_(norm.biases.weight)
    gain, bias = norm.gains.weight[y][:, :, None, None], norm.biases.weight[y][:, :, None, None]
    assert torch.allclose(norm(h, y), gain * plain + bias, atol=1e-6)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("shape", [(2,), GREY])
def test_what_is_made_follows_the_label(make: type[SNGAN], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = make(shape, num_classes=3, conditional=True, **SMALL)
    for p in model.parameters():
        nn.init.normal_(p, std=0.5)
    z = torch.randn(4, *model.latent_shape)
    made = [model.given(torch.full((4,), k)).decode(z) for k in range(3)]
    assert all(not torch.allclose(a, b, atol=1e-4) for a, b in itertools.combinations(made, 2))
    judged = [model.given(torch.full((4,), k)).discriminate(made[0]) for k in range(3)]
    assert all(not torch.allclose(a, b, atol=1e-4) for a, b in itertools.combinations(judged, 2))


def test_without_a_label_the_latent_says_the_class() -> None:
    """Its last coordinates, one a class: so all classes are as likely, and p(x) needs no training of its own."""
    model = SNGAN((2,), num_classes=3, conditional=True, **SMALL)
    z = torch.randn(3000, *model.latent_shape)
    assert z.shape[1] == 2 + 3
    drawn = z[:, 2:].argmax(1)
    assert torch.equal(model.decode(z), model.decode(z, drawn))
    assert torch.equal(model.decode(z), model.decode(z, torch.full((3000,), 3)))  # 3 is no class
    assert (drawn.bincount() / 3000).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)


@pytest.mark.parametrize("make", MODELS)
def test_an_unconditional_model_is_not_told_of_classes(make: type[SNGAN]) -> None:
    model = make((2,), num_classes=3, **SMALL)
    assert not supports(model, (Conditional,)) and labelled(model, torch.zeros(4, dtype=torch.long)) is model
    assert model.latent_shape == (2,)


@pytest.mark.parametrize("make", MODELS)
def test_a_conditional_model_needs_classes(make: type[SNGAN]) -> None:
    with pytest.raises(ValueError, match="conditional=True needs data with classes"):
        make((2,), conditional=True)
