"""Autoregressive models: nothing is seen of what comes later, and what is drawn follows the masses."""

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from genzoo.capabilities import Conditional, Mass, labelled, offers, supports
from genzoo.errors import InvalidOption
from genzoo.flops import count_flops
from genzoo.images import to_levels, to_unit
from genzoo.protocols import Batch
from genzoo.sampling import draw, needed_parameters
from genzoo.zoo import Zoo
from genzoo_autoregressive.head import Head
from genzoo_autoregressive.multiscale import apart, together
from genzoo_autoregressive.samplers import OneByOne
from genzoo_autoregressive.trainer import DiscreteLikelihood

ZOO = Zoo.load()
SMALL: dict[str, dict[str, Any]] = {
    "multiscale-pixelcnn": {"width": 8, "hidden": 8},
    "pixelcnn": {"width": 8, "blocks": [1, 1], "hidden": 8},
    "pixel-transformer": {"width": 12, "depth": 2, "heads": 3, "hidden": 8},
}
MODELS = sorted(SMALL)
COLOUR, ODD, TALL = (3, 4, 4), (1, 5, 7), (1, 8, 6)
CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    *((name, ODD, {}) for name in ("pixelcnn", "pixel-transformer")),
    ("multiscale-pixelcnn", ODD, {"blocks": 2}),
    *((name, TALL, {"conditional": True}) for name in MODELS),
    *((name, COLOUR, {"patch": 2}) for name in ("pixelcnn", "pixel-transformer")),
    ("multiscale-pixelcnn", COLOUR, {"factors": [2, 2]}),
    ("multiscale-pixelcnn", (2, 8, 4), {"factors": [4], "blocks": 2}),
    ("pixelcnn", (1, 7, 5), {"blocks": [1, 2, 1]}),
    ("pixelcnn", COLOUR, {"blocks": [2]}),
]
TINY: list[tuple[str, dict[str, Any]]] = [
    *((name, {"conditional": True}) for name in MODELS),
    *((name, {"patch": 2}) for name in ("pixelcnn", "pixel-transformer")),
    ("multiscale-pixelcnn", {"factors": [2]}),
]
on_every_case = pytest.mark.parametrize(("name", "shape", "options"), CASES)


def build(name: str, shape: tuple[int, ...], levels: int = 256, **options: Any) -> Any:
    """Small, in eval mode, with nothing left at zero."""
    torch.manual_seed(0)
    model = ZOO.model(name, shape, {**SMALL[name], **options}, {"levels": levels, "num_classes": 3})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


def given(model: Any, n: int) -> Any:
    """The model, given labels if it takes them."""
    return model.given(torch.arange(n) % 3) if supports(model, (Conditional,)) else model


def every_image(levels: int, height: int, width: int) -> Tensor:
    """All images of one channel, [levels^(height width), 1, height, width]."""
    numbers = torch.cartesian_prod(*[torch.arange(levels)] * (height * width))
    return to_unit(numbers.view(-1, height, width, 1), levels)


def drawn(model: Any, n: int, temperature: float = 1.0) -> Tensor:
    """The sample of seed 0."""
    *_, x = OneByOne(temperature=temperature).steps(model, n, torch.Generator().manual_seed(0))
    return x


def predictions(model: Any, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """In the order of drawing: the parameters of the distribution of each number of one image, and the numbers."""
    found = {}

    def record(head: Head, features: Tensor, x: Tensor) -> Tensor:
        found[head] = head.described(features, x).flatten(0, -2), x.flatten()
        return x.sum(-1)

    with monkeypatch.context() as patch:
        patch.setattr(Head, "log_prob", record)
        given(model, 1).log_mass(x)
    parts = [found[head] for head in model.modules() if isinstance(head, Head)]
    return torch.cat([parameters for parameters, _ in parts]), torch.cat([numbers for _, numbers in parts])


@on_every_case
def test_nothing_is_seen_of_what_comes_later(
    name: str, shape: tuple[int, ...], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What predicts a number has no gradient with respect to it or any after it, and has one to each before it."""
    model = build(name, shape, **options).double()
    x = (torch.rand(1, *shape, dtype=torch.float64) * 1.9 - 0.95).requires_grad_()
    order = predictions(model, torch.arange(x.numel()).view(x.shape).double(), monkeypatch)[1].long()
    assert sorted(order.tolist()) == list(range(x.numel()))
    for i, parameters in enumerate(predictions(model, x, monkeypatch)[0]):
        (gradient,) = torch.autograd.grad(parameters.square().sum(), x, retain_graph=True)
        assert (gradient.flatten()[order[i:]] == 0).all()
        assert (gradient.flatten()[order[:i]] != 0).all()


@on_every_case
def test_cached_steps_are_the_whole_network_on_what_they_drew(
    name: str, shape: tuple[int, ...], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features from which each position was drawn, when nothing after it was there yet, are those of the image."""
    model, sample = build(name, shape, **options), Head.sample
    steps: dict[Head, list[Tensor]] = {}

    def note(head: Head, features: Tensor, *rest: Any) -> Tensor:
        steps.setdefault(head, []).append(features)
        return sample(head, features, *rest)

    def compare(head: Head, features: Tensor, x: Tensor) -> Tensor:
        assert torch.allclose(torch.stack(steps.pop(head), 1), features.flatten(1, 2), atol=1e-5)
        return x.sum(-1)

    monkeypatch.setattr(Head, "sample", note)
    monkeypatch.setattr(Head, "log_prob", compare)
    x = drawn(given(model, 3), 3, 0.8)
    given(model, 3).log_mass(x)
    assert not steps and x.isfinite().all() and x.std() > 0.1


@pytest.mark.parametrize(("name", "options"), TINY)
def test_the_masses_of_all_images_sum_to_one(name: str, options: dict[str, Any]) -> None:
    model, x = build(name, (1, 2, 2), levels=3, **options), every_image(3, 2, 2)
    view = model.given(torch.full((81,), 2)) if supports(model, (Conditional,)) else model
    assert view.log_mass(x).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_masses_of_all_numbers_of_a_mixture_of_logistics_sum_to_one(name: str) -> None:
    model, x = build(name, (1, 1, 2), levels=40), every_image(40, 1, 2)
    assert model.log_mass(x).double().exp().sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("name", "options"), TINY)
def test_images_are_drawn_as_often_as_their_masses_say(name: str, options: dict[str, Any]) -> None:
    """A chi-square test over all 81 images, of 20,000 draws."""
    model, x = build(name, (1, 2, 2), levels=3, **options), every_image(3, 2, 2)
    images = drawn(model, 20_000)
    digits = to_levels(images, 3).flatten(1).long()
    assert torch.allclose(to_unit(to_levels(images, 3), 3), images, atol=1e-6)
    counts = torch.bincount(digits @ torch.tensor([27, 9, 3, 1]), minlength=81).double()
    masses = model.log_mass(x).double().exp()
    assert stats.chisquare(counts, 20_000 * masses / masses.sum()).pvalue > 1e-3


def test_a_low_temperature_draws_likelier_images() -> None:
    model = build("pixelcnn", (1, 4, 4), levels=17)
    model.raster.head.last.weight.mul_(10)
    means = []
    for temperature in (0.3, 1.0, 3.0):
        means.append(model.log_mass(drawn(model, 500, temperature)).mean().item())
    assert means[0] > means[1] + 1 and means[1] > means[2] + 0.5


@pytest.mark.parametrize(
    ("name", "options", "calls"),
    [
        ("pixelcnn", {"patch": 2}, 6),
        ("pixel-transformer", {"patch": 2}, 6),
        ("pixelcnn", {"patch": 1}, 24),
        ("multiscale-pixelcnn", {"factors": [2]}, 6 + 6),
    ],
)
def test_a_call_is_one_position_and_every_operation_is_counted(name: str, options: dict[str, Any], calls: int) -> None:
    model = build(name, (1, 4, 6), **options)
    samples = draw(OneByOne(), model, 3, seed=0)
    assert samples.calls_per_sample == calls
    assert samples.parameters == needed_parameters(OneByOne(), model) == sum(p.numel() for p in model.parameters())
    with count_flops() as counted:
        drawn(model, 3)
    assert samples.flops_per_sample == pytest.approx(counted.total / 3)


@pytest.mark.parametrize("name", ["pixelcnn", "pixel-transformer"])
def test_states_are_the_image_row_after_row(name: str) -> None:
    states = list(OneByOne().steps(build(name, (1, 6, 4), patch=2), 2, torch.Generator().manual_seed(0)))
    assert len(states) == 3
    for rows, state in zip((2, 4, 6), states, strict=True):
        assert torch.equal(state[:, :, :rows], states[-1][:, :, :rows]) and (state[:, :, rows:] == 0).all()


def test_states_of_several_scales_are_finer_and_finer_images() -> None:
    model = build("multiscale-pixelcnn", (1, 8, 8), factors=[2, 2])
    states = list(OneByOne().steps(model, 2, torch.Generator().manual_seed(0)))
    assert len(states) == 3
    for every, state in zip((4, 2, 1), states, strict=True):
        assert torch.equal(state[:, :, ::every, ::every], states[-1][:, :, ::every, ::every])
        assert (state == 0).double().mean().item() == 1 - 1 / every**2


@pytest.mark.parametrize(("factor", "others"), [(2, [1, 6, 7]), (3, [1, 2, 6, 7, 8, 12, 13, 14])])
def test_an_image_is_its_coarser_one_and_what_lies_between(factor: int, others: list[int]) -> None:
    x = torch.arange(72.0).view(1, 2, 6, 6)
    coarse, between = apart(x, factor)
    assert torch.equal(coarse, x[:, :, ::factor, ::factor]) and between[0, : len(others), 0, 0].tolist() == others
    assert torch.equal(together(coarse, between, factor), x)


@pytest.mark.parametrize("name", MODELS)
def test_a_conditional_model_learns_what_its_classes_look_like(name: str) -> None:
    """Class 0 is black, class 1 white: each is drawn when it is asked for, and both without a label."""
    torch.manual_seed(0)
    model = ZOO.model(name, (1, 2, 4), {**SMALL[name], "conditional": True}, {"levels": 3, "num_classes": 2})
    trainer = DiscreteLikelihood(lr=1e-2, label_dropout=0.3)
    optimizer = trainer.optimizers(model)["model"]
    for _ in range(60):
        y = torch.randint(2, (32,))
        x = (2.0 * y - 1)[:, None, None, None].expand(-1, 1, 2, 4)
        ((_, loss),) = trainer.losses(model, iter([Batch(x, y)]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval().requires_grad_(False)
    wanted = torch.arange(200) % 2
    x = drawn(model.given(wanted), 200)
    assert ((x.mean((1, 2, 3)) > 0) == (wanted == 1)).double().mean() > 0.9
    x = drawn(model, 200)
    assert 0.05 < (x.mean((1, 2, 3)) > 0).double().mean() < 0.95


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
        ((1, 8, 8), {"conditional": True}, "conditional=True needs data with classes"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(
    name: str, shape: tuple[int, ...], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidOption, match=says) as raised:
        ZOO.model(name, shape, options, {"levels": 256, "num_classes": None})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("pixelcnn", {"patch": 3}, "patch=3 does not divide 28x28 pixels: take a divisor of both"),
        ("pixel-transformer", {"patch": 8}, "patch=8 does not divide 28x28 pixels: take a divisor of both"),
        ("multiscale-pixelcnn", {"factors": [4, 2]}, "do not divide 28x28 pixels: take fewer or smaller"),
        ("pixel-transformer", {"heads": 7}, "heads=7 does not divide width=12"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        build(name, (1, 28, 28), **options)


def test_pixelcnn_at_the_size_of_its_paper_has_its_parameters() -> None:
    options = {"patch": 1, "width": 160, "blocks": [5, 5, 5], "components": 10}
    with torch.device("meta"):
        model = ZOO.model("pixelcnn", (3, 32, 32), options, {"levels": 256, "num_classes": 10})
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(54e6, rel=0.02)
