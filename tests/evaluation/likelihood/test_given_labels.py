"""The likelihood of a conditional model is of p(x | label), row by row, and says so."""

from typing import Any

import pytest
import torch
from torch import Tensor

from genzoo.evaluation.likelihood import likelihoods, task
from genzoo.testing import GaussianReference, MixtureReference
from genzoo.testing.closed_forms import Only

CENTRES = torch.tensor([[0.5, 0.2], [-0.4, 0.1], [0.0, -0.6]])
MIXTURE = MixtureReference(CENTRES, 0.3**2)
PARTS = {
    "density": ("log_prob",),
    "bound": ("bounds", "log_bound"),
    "denoiser": ("denoise", "sigma_min", "sigma_max"),
    "predictor": ("predict", "betas"),
}


class Part(Only):
    """Some members of a conditional model, before and after its labels are given."""

    def __init__(self, model: Any, *members: str) -> None:
        super().__init__(model, *members)
        self.num_classes = model.num_classes
        object.__setattr__(self, "_whole", (model, members))

    def given(self, labels: Tensor) -> Only:
        model, members = self._whole  # type: ignore[misc]
        return Only(model.given(labels), *members)


def draws(n: int = 600) -> tuple[Tensor, Tensor]:
    labels = torch.arange(n) % 3
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return CENTRES[labels] + 0.3 * noise, labels


@pytest.mark.parametrize("part", PARTS)
def test_each_row_is_judged_by_its_own_class(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are batched, against the density of its own Gaussian; another label makes it unlikely."""
    monkeypatch.setattr(task, "ROWS_AT_ONCE", 70)
    x, labels = draws()
    found, *_ = likelihoods(Part(MIXTURE, *PARTS[part]), x, None, labels=labels)
    wanted = -torch.distributions.Normal(CENTRES[labels], 0.3).log_prob(x).sum(1).mean().item()
    assert found.kind.endswith(", given labels")
    assert found.value == pytest.approx(wanted, abs=0.5 if part == "predictor" else 1e-2)  # a bound is not tight
    wrong, *_ = likelihoods(Part(MIXTURE, *PARTS[part]), x, None, labels=labels.roll(1))
    assert wrong.value is not None and wrong.value > wanted + 1


@pytest.mark.parametrize("part", PARTS)
def test_one_class_is_the_model_of_that_class(part: str) -> None:
    x, _ = draws()
    given = likelihoods(Part(MIXTURE, *PARTS[part]), x, None, labels=torch.ones(len(x), dtype=torch.long))
    alone = likelihoods(Only(GaussianReference(CENTRES[1], 0.3**2), *PARTS[part]), x, None)
    assert given[0].value == pytest.approx(alone[0].value, rel=1e-4)
    assert given[0].kind == f"{alone[0].kind}, given labels" and given[0].calls == alone[0].calls


def test_labels_follow_the_subset_that_is_taken() -> None:
    x, labels = draws(3000)
    (found,) = likelihoods(Part(MIXTURE, *PARTS["denoiser"]), x, None, labels=labels)
    assert found.n == 1000 and found.value == pytest.approx(0.43, abs=0.1)  # 1 + log(2 pi 0.09)


def test_a_conditional_energy_has_a_partition_function_for_each_class() -> None:
    x, labels = draws()
    quadrature, annealed = likelihoods(Part(MIXTURE, "energy"), x, None, labels=labels)
    told = "an energy given labels has a partition function for each, none is computed"
    assert (quadrature.value, quadrature.reason) == (None, f"quadrature: {told}")
    assert (annealed.value, annealed.reason) == (None, f"AIS: {told}")


def test_without_labels_there_is_none() -> None:
    (found,) = likelihoods(Part(MIXTURE, "log_prob"), draws()[0], None)
    assert (found.value, found.kind) == (None, "none")
    assert found.reason == "the model is one of p(x | label), and the test examples have no labels"


def test_labels_of_a_model_that_takes_none_change_nothing() -> None:
    x, labels = draws()
    model = Only(MIXTURE, "log_prob")
    assert likelihoods(model, x, None, labels=labels) == likelihoods(model, x, None)
