"""The trainer of the references: one look at the data, and a closed form that the host leaves as it is."""

from collections.abc import Callable

import pytest
import torch
from known_data import covariance, ring
from small import Rows, config
from torch import Tensor

from genzoo.protocols import Batch
from genzoo.training import fit
from genzoo_reference.gaussian import Gaussian
from genzoo_reference.memory import KDE, Copycat
from genzoo_reference.mppca import MPPCA
from genzoo_reference.trainer import ClosedForm, look


def batches(x: Tensor, size: int) -> list[Batch]:
    return [Batch(part, torch.arange(len(part))) for part in x.split(size)]


def test_a_look_takes_as_many_examples_as_asked_and_their_labels() -> None:
    x = ring(100)
    seen, labels = look(iter(batches(x, 16)), 40)
    assert torch.equal(seen, x[:40])
    assert labels is not None
    assert labels.tolist() == [*range(16), *range(16), *range(8)]


def test_examples_without_labels_have_none() -> None:
    assert look(iter([Batch(ring(8))]), 8)[1] is None


@pytest.mark.parametrize("make", [lambda: MPPCA((1, 4, 4), components=3), lambda: KDE((1, 4, 4), memory=50)])
def test_a_density_keeps_its_digits_where_networks_are_called_in_bfloat16(make: Callable[[], MPPCA | KDE]) -> None:
    model, x = make(), 0.1 * torch.randn(50, 1, 4, 4)
    model.fit(x, None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.log_prob(x)
    assert torch.allclose(rounded, model.log_prob(x), atol=1e-4)


@pytest.mark.parametrize("budget", ["1steps", "7steps", "500img"])
def test_averaging_and_the_budget_leave_a_closed_form_as_it_is(budget: str) -> None:
    """The host's loop, one look of 200 examples: their covariance whatever the moving average does after it."""
    x = ring(200)
    done = fit(
        Gaussian((2,), jitter=1e-9),
        ClosedForm(num_examples=200),
        Rows(x),
        config(budget=budget, batch_size=16, ema=0.1, clip=1.0, warmup=0.02),
    )
    root = done.model._root(0).double()
    assert torch.allclose(root @ root.T, covariance(x), atol=1e-5)
    assert torch.allclose(done.model.means[0], x.mean(0), atol=1e-6)


def test_a_mixture_goes_on_with_every_step() -> None:
    x = ring(512)
    likelihoods = []
    for budget in ("1steps", "20steps"):
        torch.manual_seed(0)
        done = fit(
            MPPCA((2,), components=8), ClosedForm(num_examples=512), Rows(x), config(budget=budget, batch_size=64)
        )
        likelihoods.append(done.model.log_prob(x).mean().item())
    assert likelihoods[1] > likelihoods[0] + 0.01


def test_the_memory_s_rows_are_parameters() -> None:
    done = fit(Copycat((2,), num_examples=64), ClosedForm(num_examples=64), Rows(ring(64)), config(budget="1steps"))
    assert done.parameters["total"] == 64 * 2
