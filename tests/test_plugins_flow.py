"""RealNVP at sizes that its scales do not divide: still a bijection, still the change of variables."""

import math

import pytest
import torch
from torch import nn

from genzoo_flow.layers import ActNorm, Logit, Squeeze
from genzoo_flow.model import RealNVP

SHAPES = [(2,), (3,), (1, 6, 10), (3, 7, 7), (2, 4, 4), (1, 12, 6)]


def shaken(shape: tuple[int, ...]) -> RealNVP:
    """Nothing stays at zero."""
    torch.manual_seed(0)
    model = RealNVP(shape, couplings=2, width=8).double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_is_a_bijection_with_the_density_of_the_change_of_variables(shape: tuple[int, ...]) -> None:
    model = shaken(shape)
    x = torch.rand(1, *shape, dtype=torch.float64) * 1.8 - 0.9
    z = model.encode(x)
    assert z.shape == (1, math.prod(shape)) == (1, *model.latent_shape)
    assert torch.allclose(model.decode(z), x, atol=1e-8)
    jacobian = torch.autograd.functional.jacobian(lambda x: model.encode(x).flatten(), x).reshape(z.numel(), -1)
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    assert torch.allclose(model.log_prob(x), standard + torch.linalg.slogdet(jacobian)[1], atol=1e-8)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)])
def test_after_initialisation_every_coordinate_of_a_batch_is_standard(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = RealNVP(shape, couplings=2, width=8)
    x = (3 * torch.randn(512, *shape) + 2).clamp(-1, 1) if len(shape) == 3 else 3 * torch.randn(512, *shape) + 2
    model.initialize(x)
    z = model.encode(x)
    assert z.mean().item() == pytest.approx(0, abs=0.01) and z.std().item() == pytest.approx(1, abs=0.05)
    again = model.encode(x[:100])  # what it set stays: another batch is not standardised anew
    assert torch.allclose(again, z[:100], atol=1e-4)


def test_initialisation_is_kept_with_the_weights() -> None:
    torch.manual_seed(0)
    model, copy = RealNVP((2,), couplings=2, width=8), RealNVP((2,), couplings=2, width=8)
    model.initialize(3 * torch.randn(512, 2) + 2)
    copy.load_state_dict(model.state_dict())
    x = torch.randn(5, 2)
    assert torch.equal(copy.log_prob(x), model.log_prob(x))


def test_a_squeeze_moves_pixels_and_changes_no_volume() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    z, log_det = Squeeze()(x)
    assert z.shape == (1, 4, 2, 2) and log_det.item() == 0 and z[0, :, 0, 0].tolist() == [0, 1, 4, 5]
    assert torch.equal(Squeeze().inverse(z), x)


@pytest.mark.parametrize("layer", [ActNorm((3, 4, 4)), Logit(1.0625)])
def test_a_layer_s_determinant_is_its_jacobian_s(layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer.double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    x = torch.rand(1, 3, 4, 4, dtype=torch.float64) * 1.8 - 0.9
    z, log_det = layer(x)
    jacobian = torch.autograd.functional.jacobian(lambda x: layer(x)[0].flatten(), x).reshape(z.numel(), -1)
    assert torch.allclose(log_det, torch.linalg.slogdet(jacobian)[1])
    assert torch.allclose(layer.inverse(z), x)
