"""Autoregressive models: nothing is seen of what comes later, and what is drawn follows the masses."""

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from genzoo.capabilities import Conditional, Mass, labelled, offers, supports
from genzoo.errors import InvalidOption
from genzoo.images import to_levels, to_unit
from genzoo.protocols import Batch
from genzoo.sampling import draw, needed_parameters
from genzoo.zoo import Zoo
from genzoo_autoregressive.samplers import Raster
from genzoo_autoregressive.trainer import DiscreteLikelihood

ZOO = Zoo.load()
SMALL: dict[str, dict[str, Any]] = {
    "pixelcnn": {"width": 8, "blocks": [1, 1], "hidden": 8},
    "pixel-transformer": {"width": 12, "depth": 2, "hidden": 8},
}
MODELS = sorted(SMALL)
OF_ANY: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((1, 5, 7), {}),
    ((3, 4, 4), {"patch": 2}),
    ((2, 4, 5), {"patch": 1}),
    ((1, 6, 8), {"patch": 2, "conditional": True}),
]
OF_CONVOLUTIONS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((1, 7, 5), {"blocks": [1, 2, 1]}),
    ((1, 4, 4), {"blocks": [2]}),
]
CASES = [(name, *case) for name in MODELS for case in OF_ANY] + [("pixelcnn", *case) for case in OF_CONVOLUTIONS]
on_every_case = pytest.mark.parametrize(("name", "shape", "options"), CASES)


def build(name: str, shape: tuple[int, ...], levels: int = 256, **options: Any) -> Any:
    """Small, in eval mode, with nothing left at zero."""
    torch.manual_seed(0)
    model = ZOO.model(name, shape, {**SMALL[name], **options}, {"levels": levels, "num_classes": 3})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


def labels(model: Any, n: int) -> Tensor | None:
    """Labels, if the model takes them."""
    return torch.arange(n) % 3 if supports(model, (Conditional,)) else None


def places(patches: Tensor) -> itertools.product:
    """Rows and columns in raster order."""
    return itertools.product(range(patches.shape[2]), range(patches.shape[3]))


def every_image(levels: int, height: int, width: int) -> Tensor:
    """All images of one channel, [levels^(height width), 1, height, width]."""
    numbers = torch.cartesian_prod(*[torch.arange(levels)] * (height * width))
    return to_unit(numbers.view(-1, height, width, 1), levels)


@on_every_case
def test_nothing_is_seen_of_what_comes_later(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """What predicts a number has no gradient with respect to it or any after it, and has one to all before it."""
    model = build(name, shape, **options).double()
    x = (torch.rand(1, *shape, dtype=torch.float64) * 1.9 - 0.95).requires_grad_()
    patches = F.pixel_unshuffle(x, model.patch)
    parameters = model.head.described(model.trunk(patches, labels(model, 1)), patches.permute(0, 2, 3, 1)).flatten(0, 3)
    order = F.pixel_unshuffle(torch.arange(x.numel()).view(x.shape), model.patch).permute(0, 2, 3, 1).flatten()
    for i in range(len(order)):
        (gradient,) = torch.autograd.grad(parameters[i].square().sum(), x, retain_graph=True)
        assert (gradient.flatten()[order[i:]] == 0).all()
        assert (gradient.flatten()[order[:i]] != 0).all()


@on_every_case
def test_a_cached_step_is_the_whole_network_at_that_position(
    name: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    """Also when all that is not known yet is NaN."""
    model = build(name, shape, **options)
    patches = F.pixel_unshuffle(torch.rand(3, *shape) * 2 - 1, model.patch)
    whole, memory = model.trunk(patches, labels(model, 3)), {}
    for row, column in places(patches):
        known = patches.clone()
        known[:, :, row, column:], known[:, :, row + 1 :] = torch.nan, torch.nan
        step = model.trunk.follow(known, row, column, memory, labels(model, 3))
        assert torch.allclose(step, whole[:, row, column], atol=1e-5)


@on_every_case
def test_cached_draws_are_those_of_the_slow_way(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """The slow way: the whole network for every position, and a draw at that position."""
    model, generator = build(name, shape, **options), torch.Generator().manual_seed(1)
    patches = F.pixel_unshuffle(torch.zeros(4, *shape), model.patch)
    for row, column in places(patches):
        features = model.trunk(patches, labels(model, 4))[:, row, column]
        patches[:, :, row, column] = model.head.sample(features, generator, 0.8)
    known = labels(model, 4)
    view = model if known is None else model.given(known)
    *_, cached = Raster(temperature=0.8).steps(view, 4, torch.Generator().manual_seed(1))
    assert torch.allclose(cached, F.pixel_shuffle(patches, model.patch), atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"patch": 2}, {"conditional": True}])
@pytest.mark.parametrize("name", MODELS)
def test_the_masses_of_all_images_sum_to_one(name: str, options: dict[str, Any]) -> None:
    model, x = build(name, (1, 2, 2), levels=3, **options), every_image(3, 2, 2)
    view = model if labels(model, 1) is None else model.given(torch.full((81,), 2))
    assert view.log_mass(x).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_masses_of_all_numbers_of_a_mixture_of_logistics_sum_to_one(name: str) -> None:
    model, x = build(name, (1, 1, 2), levels=40), every_image(40, 1, 2)
    assert model.log_mass(x).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"patch": 2}])
@pytest.mark.parametrize("name", MODELS)
def test_images_are_drawn_as_often_as_their_masses_say(name: str, options: dict[str, Any]) -> None:
    """A chi-square test over all 81 images, of 20,000 draws."""
    model, x = build(name, (1, 2, 2), levels=3, **options), every_image(3, 2, 2)
    *_, drawn = Raster().steps(model, 20_000, torch.Generator().manual_seed(0))
    digits = to_levels(drawn, 3).flatten(1).long()
    assert torch.allclose(to_unit(to_levels(drawn, 3), 3), drawn, atol=1e-6)
    counts = torch.bincount(digits @ torch.tensor([27, 9, 3, 1]), minlength=81).double()
    masses = model.log_mass(x).double().exp()
    assert stats.chisquare(counts, 20_000 * masses / masses.sum()).pvalue > 1e-3


def test_a_low_temperature_draws_likelier_images() -> None:
    model = build("pixelcnn", (1, 4, 4), levels=17)
    model.head.last.weight.mul_(10)
    means = []
    for temperature in (0.3, 1.0, 3.0):
        *_, x = Raster(temperature=temperature).steps(model, 500, torch.Generator().manual_seed(0))
        means.append(model.log_mass(x).mean().item())
    assert means[0] > means[1] + 1 and means[1] > means[2] + 0.5


@pytest.mark.parametrize("name", MODELS)
def test_a_call_is_one_position(name: str) -> None:
    model = build(name, (1, 4, 6), patch=2)
    samples = draw(Raster(), model, 3, seed=0)
    assert samples.calls_per_sample == 6
    assert samples.flops_per_sample is not None and samples.flops_per_sample > 6 * 1000
    assert samples.parameters == needed_parameters(Raster(), model) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_states_are_the_image_row_after_row(name: str) -> None:
    states = list(Raster().steps(build(name, (1, 6, 4), patch=2), 2, torch.Generator().manual_seed(0)))
    assert len(states) == 3
    for rows, state in zip((2, 4, 6), states, strict=True):
        assert torch.equal(state[:, :, :rows], states[-1][:, :, :rows]) and (state[:, :, rows:] == 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_conditional_model_learns_what_its_classes_look_like(name: str) -> None:
    """Class 0 is black, class 1 white: each is drawn when it is asked for, and both without a label."""
    torch.manual_seed(0)
    model = ZOO.model(name, (1, 4, 4), {**SMALL[name], "conditional": True}, {"levels": 3, "num_classes": 2})
    trainer = DiscreteLikelihood(lr=1e-2, label_dropout=0.2)
    optimizer = trainer.optimizers(model)["model"]
    for _ in range(100):
        y = torch.randint(2, (32,))
        x = (2.0 * y - 1)[:, None, None, None].expand(-1, 1, 4, 4)
        ((_, loss),) = trainer.losses(model, iter([Batch(x, y)]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval().requires_grad_(False)
    wanted = torch.arange(200) % 2
    *_, x = Raster().steps(model.given(wanted), 200, torch.Generator().manual_seed(0))
    assert ((x.mean((1, 2, 3)) > 0) == (wanted == 1)).double().mean() > 0.9
    *_, x = Raster().steps(model, 200, torch.Generator().manual_seed(0))
    assert 0.1 < (x.mean((1, 2, 3)) > 0).double().mean() < 0.9


def test_the_loss_is_minus_the_mean_log_mass_in_nats_per_dimension() -> None:
    model, x = build("pixelcnn", (3, 4, 4), levels=17), to_unit(torch.randint(17, (6, 4, 4, 3)), 17)
    ((name, loss),) = DiscreteLikelihood().losses(model, iter([Batch(x)]))
    assert name == "model" and loss.item() == pytest.approx(-model.log_mass(x).mean().item() / 48)


def test_the_trainer_drops_labels() -> None:
    model = build("pixelcnn", (1, 4, 4), levels=17, conditional=True)
    x, y = to_unit(torch.randint(17, (6, 4, 4, 1)), 17), torch.arange(6) % 3
    ((_, loss),) = DiscreteLikelihood(label_dropout=1.0).losses(model, iter([Batch(x, y)]))
    assert loss.item() == pytest.approx(-model.log_mass(x).mean().item() / 16)
    ((_, loss),) = DiscreteLikelihood(label_dropout=0.0).losses(model, iter([Batch(x, y)]))
    assert loss.item() == pytest.approx(-labelled(model, y).log_mass(x).mean().item() / 16)


def test_bfloat16_changes_the_mass_by_little() -> None:
    model, x = build("pixelcnn", (1, 16, 16)), to_unit(torch.randint(256, (6, 16, 16, 1)), 256)
    with torch.autocast("cpu", torch.bfloat16):
        low = model.log_mass(x)
    assert low.dtype == torch.float32 and torch.allclose(low, model.log_mass(x), rtol=1e-2)


def test_only_a_conditional_model_is_conditional() -> None:
    for name in MODELS:
        assert offers(build(name, (1, 4, 4))) == ["Mass"]
        assert offers(build(name, (1, 4, 4), conditional=True)) == ["Mass", "Conditional"]
        assert supports(build(name, (1, 4, 4), conditional=True).given(torch.zeros(1).long()), (Mass,))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((2,), {}, r"shape \(2,\) is of points, which have no levels"),
        ((1, 28, 28), {"patch": 3}, "patch=3 does not divide 28x28 pixels: take a divisor of both"),
        ((1, 8, 8), {"conditional": True}, "conditional=True needs classes"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(
    name: str, shape: tuple[int, ...], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidOption, match=says) as raised:
        ZOO.model(name, shape, options, {"levels": 256, "num_classes": None})
    assert "\n" not in str(raised.value)


def test_a_transformer_refuses_heads_that_do_not_divide_its_width() -> None:
    with pytest.raises(InvalidOption, match="heads=5 does not divide width=192"):
        ZOO.model("pixel-transformer", (1, 8, 8), {"heads": 5})


def test_pixelcnn_at_the_size_of_its_paper_has_its_parameters() -> None:
    options = {"patch": 1, "width": 160, "blocks": [5, 5, 5], "components": 10}
    with torch.device("meta"):
        model = ZOO.model("pixelcnn", (3, 32, 32), options, {"levels": 256, "num_classes": 10})
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(54e6, rel=0.02)
