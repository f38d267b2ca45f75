"""Flows of images and points at any size: a bijection, and its density the change of variables."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genzoo.data import load
from genzoo.images import to_unit
from genzoo_flow.couplings import ADDITIVE, AFFINE, Coupling, Form
from genzoo_flow.glow import Glow
from genzoo_flow.layers import ActNorm, Invertible, Linear1x1, Logit, Permute, Squeeze
from genzoo_flow.model import Flow
from genzoo_flow.realnvp import RealNVP, checkerboard
from genzoo_flow.spline import SplineFlow
from genzoo_flow.splines import Spline
from genzoo_flow.steering import prior, residual, shallow

SHAPES = [(2,), (3,), (1, 6, 4), (3, 3, 3), (2, 4, 4), (1, 8, 4), (1, 5, 3)]
SMALL: dict[type[Flow], dict[str, Any]] = {
    RealNVP: {"couplings": 2, "width": 8},
    Glow: {"steps": 2, "width": 8},
    SplineFlow: {"couplings": 2, "width": 8, "bins": 4},
}
MODELS = list(SMALL)


def shake(model: nn.Module, std: float) -> nn.Module:
    """Nothing stays at zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(std * torch.randn_like(parameter))
    return model.eval()


def inside(n: int, shape: tuple[int, ...], **kind: Any) -> Tensor:
    return torch.rand(n, *shape, **kind) * 1.8 - 0.9


def log_volume(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """log|det| of the Jacobian at the one row of x, by automatic differentiation."""
    jacobian = torch.autograd.functional.jacobian(lambda x: function(x).flatten(), x, vectorize=True)
    return torch.linalg.slogdet(jacobian.reshape(x.numel(), -1))[1]


@pytest.mark.parametrize("shape", [(2,), (3,), (7,), (10,), (1, 3, 3), (3, 3, 3)])
@pytest.mark.parametrize("kind", MODELS)
def test_every_number_of_the_latent_depends_on_several_of_the_data(kind: type[Flow], shape: tuple[int, ...]) -> None:
    """One that no coupling steers would depend on a single one, and keep the shape of its distribution."""
    torch.manual_seed(0)
    model: Any = shake(kind(shape, width=8).double(), 0.2)
    x = inside(1, shape, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: model.encode(x)[0], x, vectorize=True)
    assert ((jacobian.flatten(1) != 0).sum(1) > 1).all()


def test_a_logit_s_range_is_refused_where_there_is_no_logit() -> None:
    with pytest.raises(ValueError, match=r"alpha=0\.1: points have no range"):
        RealNVP((2,), alpha=0.1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", MODELS)
def test_any_size_is_a_bijection_with_the_density_of_the_change_of_variables(
    kind: type[Flow], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    model: Any = shake(kind(shape, **SMALL[kind]).double(), 0.2)
    x = inside(1, shape, dtype=torch.float64)
    z = model.encode(x)
    assert z.shape == (1, math.prod(shape)) == (1, *model.latent_shape)
    assert torch.allclose(model.decode(z), x, atol=1e-7)
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    assert torch.allclose(model.log_prob(x), standard + log_volume(model.encode, x), atol=1e-6)


@pytest.mark.parametrize("kind", MODELS)
def test_at_full_size_it_is_undone_to_1e_4_in_single_precision(kind: type[Flow]) -> None:
    torch.manual_seed(0)
    model: Any = shake(kind((1, 28, 28), levels=256), 0.05)
    x = to_unit(torch.randint(256, (8, 28, 28, 1)), 256)
    with torch.no_grad():
        assert (model.decode(model.encode(x)) - x).abs().max() < 1e-4
        z = torch.randn(8, 784)
        assert (model.encode(model.decode(z)) - z).abs().max() < 1e-2


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
@pytest.mark.parametrize("kind", [RealNVP, Glow])
def test_after_initialisation_every_coordinate_of_a_batch_is_standard(kind: type[Flow], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model: Any = kind(shape, **SMALL[kind])
    x = 3 * torch.randn(512, *shape) + 2
    x = x.clamp(-1, 1) if len(shape) == 3 else x
    model.initialize(x)
    z = model.encode(x)
    assert z.mean().item() == pytest.approx(0, abs=0.01) and z.std().item() == pytest.approx(1, abs=0.05)
    again = model.encode(x[:100])  # what it set stays: another batch is not standardised anew
    assert torch.allclose(again, z[:100], atol=1e-4)


def test_actnorm_makes_the_channels_of_real_images_standard() -> None:
    x = to_unit(load("digits").train.rows[:500], 17)
    x, _ = Squeeze(2, 2)(x + 0.1 * torch.randn_like(x))
    layer = ActNorm((4, 4, 4))
    layer.waiting = True
    z, log_det = layer(x)
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(4), atol=1e-5)
    assert torch.allclose(z.std((0, 2, 3)), torch.ones(4), atol=0.01)
    assert torch.allclose(log_det, -16 * x.std((0, 2, 3)).log().sum().expand(500), rtol=0.01)


def test_initialisation_is_kept_with_the_weights() -> None:
    torch.manual_seed(0)
    model, copy = RealNVP((2,), couplings=2, width=8), RealNVP((2,), couplings=2, width=8)
    model.initialize(3 * torch.randn(512, 2) + 2)
    copy.load_state_dict(model.state_dict())
    x = torch.randn(5, 2)
    assert torch.equal(copy.log_prob(x), model.log_prob(x))


def test_a_squeeze_moves_pixels_and_changes_no_volume() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    z, log_det = Squeeze(2, 2)(x)
    assert z.shape == (1, 4, 2, 2) and log_det.item() == 0 and z[0, :, 0, 0].tolist() == [0, 1, 4, 5]
    assert torch.equal(z, nn.functional.pixel_unshuffle(x, 2)) and torch.equal(Squeeze(2, 2).inverse(z), x)
    tall = torch.randn(2, 3, 6, 5)
    assert Squeeze(3, 5)(tall)[0].shape == (2, 45, 2, 1)
    assert torch.equal(Squeeze(3, 5).inverse(Squeeze(3, 5)(tall)[0]), tall)


def test_a_checkerboard_of_pixels_is_a_set_of_channels_after_the_squeeze() -> None:
    board = (torch.arange(4)[:, None] + torch.arange(4)) % 2 == 0
    squeezed = Squeeze(2, 2)(board.float().expand(1, 3, 4, 4))[0][0]
    passing = squeezed[checkerboard(12)]
    assert passing[:6].min() == 1 and passing[6:].max() == 0


LAYERS = [
    ActNorm((3, 4, 4)),
    Linear1x1((3, 4, 4)),
    Logit(1.0625, 0.05),
    Logit(1.0625, 1e-3),
    Permute(torch.tensor([2, 0, 1])),
    Squeeze(2, 4),
    Coupling(residual((2, 4, 4), 2, 8, 1), AFFINE),
    Coupling(shallow((2, 4, 4), 1, 8), ADDITIVE),
    Coupling(prior((2, 4, 4), 11), Form(11, partial(Spline.of, reach=2.0))),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_layer_s_determinant_is_its_jacobian_s_and_its_inverse_undoes_it(layer: Invertible) -> None:
    torch.manual_seed(0)
    shake(layer.double(), 1.0)
    x = inside(1, (3, 4, 4), dtype=torch.float64)
    z, log_det = layer(x)
    assert torch.allclose(log_det, log_volume(lambda x: layer(x)[0], x))
    assert torch.allclose(layer.inverse(z), x)


def test_a_1x1_convolution_is_one_matrix_at_every_pixel() -> None:
    torch.manual_seed(0)
    layer = shake(Linear1x1((5, 2, 3)).double(), 0.5)
    matrix = layer(torch.eye(5, dtype=torch.float64).view(5, 5, 1, 1))[0].flatten(1).T
    x = torch.randn(4, 5, 2, 3, dtype=torch.float64)
    z, log_det = layer(x)
    assert torch.allclose(z, nn.functional.conv2d(x, matrix[:, :, None, None]))
    assert torch.allclose(log_det, 6 * matrix.det().abs().log().expand(4))


def test_a_1x1_convolution_starts_as_an_order_that_is_never_that_of_two() -> None:
    torch.manual_seed(0)
    order = Linear1x1((9, 1, 1))(torch.arange(9.0).view(1, 9, 1, 1))[0].flatten()
    assert sorted(order.tolist()) == list(range(9)) != order.tolist()
    pair = Linear1x1((2,))(torch.tensor([[0.0, 1.0]]))[0]
    assert pair.tolist() == [[1, 0]]  # else one of the two would never be steered


def test_a_narrow_logit_spreads_the_darkest_level() -> None:
    edges = torch.tensor([[-256 / 255, -254 / 255]])
    wide, narrow = (Logit(256 / 255, alpha)(edges)[0].diff().item() for alpha in (0.05, 1e-3))
    assert wide < 0.1 < 1.5 < narrow


@pytest.mark.parametrize("form", [AFFINE, ADDITIVE])
def test_a_coupling_passes_the_first_half_and_starts_as_the_identity(form: Form) -> None:
    layer = Coupling(residual((2, 4, 4), form.numbers, 8, 1), form)
    x = torch.randn(2, 3, 4, 4)
    z, log_det = layer(x)
    assert torch.equal(z, x) and (log_det == 0).all()
    z, log_det = shake(layer, 0.5)(x)
    assert torch.equal(z[:, :2], x[:, :2]) and not torch.allclose(z[:, 2:], x[:, 2:], atol=0.1)
    assert (log_det == 0).all() == (form is ADDITIVE)


def test_beyond_its_interval_a_logit_goes_straight_on() -> None:
    """So that the density is of the whole line, and a walk that leaves the pictures finds its way back."""
    logit, x = Logit(1.0625, 0.03), torch.linspace(-5, 5, 1001, dtype=torch.float64)[:, None]
    z, log_slope = logit(x)
    assert z.isfinite().all() and (z.diff(dim=0) > 0).all() and torch.allclose(logit.inverse(z), x)
    slopes = (z.diff(dim=0) / x.diff(dim=0)).flatten()
    assert torch.allclose(slopes[:300], log_slope[0].exp()) and torch.allclose(slopes[-300:], log_slope[-1].exp())
