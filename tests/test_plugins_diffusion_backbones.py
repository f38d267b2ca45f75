"""The nets of the papers have the papers' parameters; the transformer is what its docstring says."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genzoo.nets import ResidualMLP, Transformer, UNet
from genzoo.nets.attention import attend
from genzoo.nets.mlp import embedded_time
from genzoo.nets.transformer import grid_positions
from genzoo_diffusion.backbones import build


def shaken(net: nn.Module) -> nn.Module:
    """Layers that start at zero start to matter."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval()


@pytest.mark.parametrize(("name", "millions"), [("ddpm", 35.7), ("ddpm++", 56)])
def test_the_papers_nets_have_the_papers_parameters_for_colour_images_of_32_pixels(name: str, millions: float) -> None:
    """DDPM's exactly; DDPM++ within 6 %: diffusers' embedding of the noise is twice as wide, and so on."""
    with torch.device("meta"):
        net = build(name, (3, 32, 32))  # type: ignore[arg-type]
    count = sum(p.numel() for p in net.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.002 if name == "ddpm" else 0.06)


@pytest.mark.parametrize("name", ["ddpm", "ddpm++"])
def test_the_papers_nets_attend_with_one_head(name: str) -> None:
    with torch.device("meta"):
        net = build(name, (3, 32, 32))  # type: ignore[arg-type]
    heads = [module.heads for module in net.modules() if type(module).__name__ == "Attention"]
    assert len(heads) > 3 and set(heads) == {1}


@pytest.mark.parametrize("name", ["ddpm", "ddpm++"])
def test_the_papers_nets_take_images_that_cannot_be_halved_and_labels(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, (1, 7, 9), width=32, outputs=2, num_classes=3).eval()  # type: ignore[arg-type]
    x, t = torch.randn(2, 1, 7, 9), torch.tensor([0.1, 0.9])
    with torch.no_grad():
        free, first = net(x, t), net(x, t, torch.tensor([0, 3]))
    assert free.shape == (2, 2, 7, 9)
    assert not torch.allclose(free[0], first[0]) and torch.allclose(free[1], first[1], atol=1e-5)


def test_points_have_a_residual_net_whatever_is_left_as_it_is() -> None:
    assert type(build("unet", (2,))).__name__ == "ResidualMLP"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 10), (1, 28, 28), (3, 32, 32)])
def test_a_transformer_takes_images_of_any_size_and_starts_at_zero(shape: tuple[int, ...]) -> None:
    net = Transformer(shape, width=32, depth=1, outputs=2)
    out = net(torch.randn(2, *shape), torch.tensor([0.0, 1.0]))
    assert out.shape == (2, 2 * shape[0], *shape[1:]) and (out == 0).all()


def test_a_unet_starts_at_zero_and_so_does_what_its_blocks_add() -> None:
    torch.manual_seed(0)
    net = UNet((3, 8, 8), width=16, outputs=2)
    assert (net(torch.randn(2, 3, 8, 8), torch.tensor([0.0, 1.0])) == 0).all()
    h, embedding = torch.randn(2, 32, 4, 4), torch.randn(2, 64)
    assert torch.equal(net.middle(h, embedding), h)


def test_neighbouring_times_are_embedded_alike_and_all_of_them_apart() -> None:
    """The shortest wave is a twentieth of [0, 1]; no wave is so long that it stands still."""
    t = torch.linspace(0, 1, 401)
    embedded = embedded_time(t, 64)
    assert F.cosine_similarity(embedded[1:], embedded[:-1]).min() > 0.99
    assert torch.pdist(embedded[::10]).min() > 1
    assert embedded.std(0).min() > 0.01 and embedded[:, 0].diff().sign().diff().ne(0).sum() == 2 * 20 - 1


@pytest.mark.parametrize("make", [ResidualMLP, UNet, Transformer])
def test_every_net_is_told_of_the_time_so(make: type[nn.Module]) -> None:
    told: list[Tensor] = []
    net = make(2, 32, 1) if make is ResidualMLP else make((1, 8, 8), width=32)
    net.embed_t.register_forward_hook(lambda module, inputs, output: told.append(inputs[0]))
    t = torch.tensor([0.0, 0.3, 1.0])
    net(torch.randn(3, 2) if make is ResidualMLP else torch.randn(3, 1, 8, 8), t)
    assert torch.equal(told[0], embedded_time(t, 32))


def test_every_pixel_of_a_transformer_sees_every_other_the_noise_level_and_the_class() -> None:
    torch.manual_seed(0)
    net = shaken(Transformer((1, 8, 8), width=32, depth=1, num_classes=2))
    x, t, y = torch.randn(2, 1, 8, 8, requires_grad=True), torch.tensor([0.3, 0.3]), torch.tensor([0, 1])
    net(x, t, y)[0, 0, 0, 0].backward()
    assert (x.grad[0] != 0).all() and (x.grad[1] == 0).all()
    with torch.no_grad():
        base = net(x, t, y)
        assert not torch.allclose(base, net(x, t + 0.1, y)) and torch.equal(net(x, t), net(x, t, torch.tensor([2, 2])))
        assert (base - net(x, t, torch.tensor([0, 0]))).flatten(1).abs().amax(1).gt(1e-4).tolist() == [False, True]


def test_a_transformer_knows_where_its_patches_are() -> None:
    positions = grid_positions(3, 5, 32)
    assert positions.shape == (15, 32) and len(positions.unique(dim=0)) == 15
    net = shaken(Transformer((1, 8, 8), width=32, depth=1, patch=2))
    x, t = torch.randn(1, 1, 8, 8), torch.tensor([0.5])
    with torch.no_grad():
        assert not torch.allclose(net(x, t).roll(2, 3), net(x.roll(2, 3), t), atol=1e-3)


def test_attention_is_torch_s_with_and_without_gradients() -> None:
    query, key, value = torch.randn(3, 2, 4, 9, 32)
    wanted = F.scaled_dot_product_attention(query, key, value)

    def gradients(function: object) -> tuple[Tensor, ...]:
        inputs = [part.clone().requires_grad_() for part in (query, key, value)]
        return torch.autograd.grad(function(*inputs).square().sum(), inputs)  # type: ignore[operator]

    assert torch.allclose(attend(query, key, value), wanted, atol=1e-6)
    for found, right in zip(gradients(attend), gradients(F.scaled_dot_product_attention), strict=True):
        assert torch.allclose(found, right, atol=1e-5)


def test_the_default_transformer_has_about_as_many_parameters_as_the_default_net() -> None:
    count = sum(p.numel() for p in Transformer((1, 28, 28)).parameters())
    assert count == 1_851_280
