"""What flows learn in a short training: points, pictures, classes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from genzoo.capabilities import Given, labelled, offers
from genzoo.data import load
from genzoo.data.points import density
from genzoo.errors import InvalidOption
from genzoo.images import to_unit
from genzoo.protocols import Batch
from genzoo.zoo import Zoo
from genzoo_flow.glow import Glow
from genzoo_flow.model import Flow
from genzoo_flow.realnvp import RealNVP
from genzoo_flow.spline import SplineFlow
from genzoo_flow.trainer import MaximumLikelihood

ZOO = Zoo.load()


def train(model: Flow, x: Tensor, y: Tensor | None = None, *, steps: int, **options: Any) -> list[float]:
    """Steps of 128 by maximum likelihood with a decaying rate; the losses, in nats per dimension."""
    torch.manual_seed(0)
    trainer = MaximumLikelihood(**options)
    trainer.initialize(model, Batch(x[:512]))
    optimizer = trainer.optimizers(model)["model"]
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    for _ in range(steps):
        rows = torch.randint(len(x), (128,))
        batches = iter([Batch(x[rows], None if y is None else y[rows])])
        for _, loss in trainer.losses(model, batches):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        decay.step()
    model.eval().requires_grad_(False)
    return losses


def digits() -> tuple[Tensor, Tensor]:
    split = load("digits").train
    assert split.labels is not None
    return to_unit(split.rows, 17), split.labels


def dequantised(x: Tensor) -> Tensor:
    return x + (torch.rand_like(x) - 0.5) / 8


@pytest.fixture(scope="module")
def eight() -> SplineFlow:
    torch.manual_seed(0)
    model = SplineFlow((2,))
    train(model, density("8gaussians").sample(20_000, torch.Generator().manual_seed(0)), steps=300, lr=3e-3)
    return model


def test_a_spline_flow_learns_eight_gaussians(eight: SplineFlow) -> None:
    law = density("8gaussians")
    x = law.sample(4000, torch.Generator().manual_seed(1))
    assert (law.log_prob(x) - eight.log_prob(x)).mean() < 0.1
    drawn = eight.decode(torch.randn(4000, 2, generator=torch.Generator().manual_seed(2)))
    assert (law.log_prob(drawn) >= law.threshold_99).double().mean() > 0.9
    assert (eight.decode(eight.encode(x)) - x).abs().max() < 1e-4


def test_its_density_integrates_to_one(eight: SplineFlow) -> None:
    axis = torch.arange(-5, 5, 0.04) + 0.02
    total = sum(
        eight.log_prob(part).double().exp().sum().item() for part in torch.cartesian_prod(axis, axis).split(50_000)
    )
    assert total * 0.04**2 == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(
    "model", [RealNVP((1, 8, 8), couplings=4, levels=17), Glow((1, 8, 8), steps=3, width=48, levels=17)]
)
def test_a_trained_flow_of_digits_is_undone_to_1e_4_and_beats_a_gaussian(model: Flow) -> None:
    x, _ = digits()
    train(model, x, steps=60, levels=17)
    torch.manual_seed(1)
    noisy = dequantised(x[:500])
    assert (model.decode(model.encode(noisy)) - noisy).abs().max() < 1e-4
    gaussian = torch.distributions.MultivariateNormal(noisy.flatten(1).mean(0), torch.cov(dequantised(x).flatten(1).T))
    assert model.log_prob(noisy).mean() > gaussian.log_prob(noisy.flatten(1)).mean() + 1


def test_training_in_bfloat16_still_measures_in_float32() -> None:
    """Autocast touches the nets alone: the log-density is off by what they are, the map of ActNorm and 1x1 is exact."""
    torch.manual_seed(0)
    model = Glow((1, 8, 8), steps=4, width=64, levels=17)
    x, _ = digits()
    train(model, x, steps=5, levels=17)
    exact = model.log_prob(x[:64])
    with torch.autocast("cpu", torch.bfloat16):
        coarse = model.log_prob(x[:64])
    assert coarse.dtype == torch.float32
    assert 0 < (coarse - exact).abs().max() / 64 < 0.02


def test_a_flow_of_a_class_knows_the_class() -> None:
    """Bayes' rule over its densities tells the digit; without a label it is a flow of all of them."""
    x, y = digits()
    model = Glow((1, 8, 8), steps=2, width=48, conditional=True, num_classes=10, levels=17)
    assert "Conditional" in offers(model) and isinstance(model.given(y[:2]), Given)
    train(model, x, y, steps=100, levels=17)
    test = load("digits").test
    assert test.labels is not None
    torch.manual_seed(1)
    noisy, truth = dequantised(to_unit(test.rows, 17)), test.labels
    each = torch.stack([model.given(torch.full_like(truth, k)).log_prob(noisy) for k in range(10)])
    assert (each.argmax(0) == truth).double().mean() > 0.6
    no_class = model.given(torch.full_like(truth, 10)).log_prob(noisy)
    assert torch.equal(no_class, model.log_prob(noisy))
    assert each.gather(0, truth[None]).mean() > no_class.mean() + 1


def test_a_flow_of_a_class_is_undone_with_its_label() -> None:
    torch.manual_seed(0)
    model = Glow((2,), steps=2, conditional=True, num_classes=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x, labels = torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2])
    view = labelled(model, labels)
    assert torch.allclose(view.decode(view.encode(x)), x, atol=1e-5)
    assert not torch.allclose(view.encode(x), model.encode(x), atol=1e-2)


def test_the_loss_is_the_negative_log_density_per_dimension_of_dequantised_data() -> None:
    class Recorded(Glow):
        def log_prob(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
            self.seen = x
            return super().log_prob(x, labels=labels)

    model, x = Recorded((1, 8, 8), steps=1, width=8, levels=17), digits()[0][:64]
    ((name, loss),) = MaximumLikelihood(levels=17).losses(model, iter([Batch(x)]))
    assert name == "model"
    assert loss.item() == pytest.approx(-Glow.log_prob(model, model.seen).mean().item() / 64, rel=1e-5)
    noise = (model.seen - x) * 8  # of a level, 2 / 16
    assert noise.min() >= -0.5 and noise.max() <= 0.5
    assert noise.std().item() == pytest.approx(1 / math.sqrt(12), rel=0.05)


def test_the_recipe_of_the_paper_has_44_million_parameters() -> None:
    with torch.device("meta"):
        model = Glow((3, 32, 32), steps=32, scales=3, width=512, widen=1, kernel=1)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(44e6, rel=0.01)


@pytest.mark.parametrize(
    ("model", "shape", "options", "told"),
    [
        ("glow", (2,), {"conditional": True}, "conditional=True needs data with classes"),
        ("realnvp", (1,), {}, r"data of shape \(1,\) has one number: a coupling needs two"),
        ("glow", (1, 8, 8), {"alpha": 0.5}, "alpha"),
        ("spline-flow", (2,), {"bins": 0}, "bins"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    model: str, shape: tuple[int, ...], options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidOption, match=told):
        ZOO.model(model, shape, options, {"levels": None, "num_classes": None})
