"""Labels: given to a model, dropped in training, asked for in drawing, kept beside the samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator, Tensor, nn

from genzoo import scoring
from genzoo.capabilities import (
    Conditional,
    Critic,
    Decoder,
    Denoiser,
    Encoder,
    Energy,
    Given,
    Score,
    as_noisy_score,
    as_score,
    known_classes,
    labelled,
    offers,
    supports,
    takes_labels,
)
from genzoo.errors import InvalidConfig
from genzoo.sampling import Counted, choose_labels, draw, needed_parameters
from genzoo.testing import MixtureReference


@runtime_checkable
class Game(Protocol):
    """A capability of a plugin's own."""

    def play(self, x: Tensor, rounds: int) -> Tensor: ...


class Shift(nn.Module, Decoder, Encoder, Critic, Energy, Denoiser, Conditional):
    """Every method adds the class; of no class nothing. The encoder has never heard of classes."""

    shape = latent_shape = (2,)
    sigma_min, sigma_max = 0.1, 10.0

    def __init__(self, num_classes: int | None = 3) -> None:
        super().__init__()
        self.scale = nn.Linear(2, 2, bias=False)
        self.critic = nn.Linear(2, 1)
        if num_classes is not None:
            self.num_classes = num_classes
            self.embed = nn.Embedding(num_classes + 1, 2)

    def _shift(self, labels: Tensor | None) -> Tensor | float:
        return 0.0 if labels is None else torch.where(labels == self.num_classes, 0, labels)[:, None].float()

    def decode(self, z: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return self.scale(z) + self._shift(labels)

    def encode(self, x: Tensor) -> Tensor:
        return x

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.critic(x)[:, 0] + (0 if labels is None else labels)

    def energy(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return 0.5 * ((x - self._shift(labels)) ** 2).sum(1)

    def denoise(self, x: Tensor, sigma: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return x + self._shift(labels)

    def play(self, x: Tensor, rounds: int, *, labels: Tensor | None = None) -> Tensor:
        return rounds * x + self._shift(labels)

    def given(self, labels: Tensor) -> Given:
        return Given(self, labels)


@dataclass(frozen=True)
class Decode:
    needs: ClassVar[tuple[type, ...]] = (Decoder,)

    def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
        for _ in range(4):
            x = model.decode(torch.zeros(n, 2))
            yield x


LABELS = torch.tensor([0, 2, 1])
X = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> Shift:
    torch.manual_seed(0)
    return Shift().eval()


# Given


def test_every_method_that_takes_labels_is_called_with_them(model: Shift) -> None:
    given = model.given(LABELS)
    shift = LABELS[:, None]
    assert torch.equal(given.decode(X), model.decode(X) + shift)
    assert torch.equal(given.discriminate(X), model.discriminate(X) + LABELS)
    assert torch.equal(given.denoise(X, sigma=torch.tensor(1.0)), X + shift)
    assert torch.equal(given.play(X, rounds=2), 2 * X + shift)  # of no known capability
    assert torch.equal(given.encode(X), X)


def test_it_has_the_capabilities_of_the_model_but_for_the_one_that_is_used_up(model: Shift) -> None:
    given = model.given(LABELS)
    assert offers(given) == [name for name in offers(model) if name != "Conditional"]
    assert supports(given, (Game, Score)) and not supports(given, (Conditional,))
    assert given.shape == (2,) and given.sigma_max == 10.0 and given.scale is model.scale
    with pytest.raises(AttributeError, match="given already"):
        given.given(LABELS)


def test_conversions_work_on_it(model: Shift) -> None:
    given = model.given(LABELS)
    assert torch.allclose(as_score(given).score(X), LABELS[:, None] - X)
    assert torch.allclose(as_noisy_score(given).noisy_score(X, torch.tensor(2.0)), LABELS[:, None].expand(3, 2) / 4)


def test_another_number_of_rows_than_labels_is_refused(model: Shift) -> None:
    with pytest.raises(ValueError, match="3 labels are given for 2 rows"):
        model.given(LABELS).decode(X[:2])


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 4], "label 4 is out of range: there are classes 0 to 2"),
        ([-1, 0], "label -1 is out of range"),
        ([0.5, 1.0], "give whole numbers"),
        ([[0, 1]], "give whole numbers"),
    ],
)
def test_labels_that_are_none_are_refused(model: Shift, labels: list[Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        model.given(torch.tensor(labels))


def test_classes_that_are_not_there_are_told_in_one_line() -> None:
    assert known_classes(10) == 10
    told = " needs data with classes, and this has none: take data with labels, or leave it out"
    for named, by in (({}, "conditional=True"), ({"by": "a noisy classifier"}, "a noisy classifier")):
        with pytest.raises(ValueError) as caught:
            known_classes(None, **named)
        assert str(caught.value) == by + told


def test_who_takes_labels(model: Shift) -> None:
    assert takes_labels(model.decode) and takes_labels(model.given(LABELS).decode)
    assert takes_labels(Counted(model).decode)  # what counts does not hide it
    assert not takes_labels(model.encode) and not takes_labels(model.scale) and not takes_labels(3)
    assert not takes_labels(len)


def test_an_unconditional_instance_of_a_class_that_can_be_conditional_is_none() -> None:
    plain = Shift(None)
    assert not supports(plain, (Conditional,))
    assert labelled(plain, LABELS) is plain
    counted = Counted(plain)
    assert not supports(counted, (Conditional,)) and torch.equal(counted.decode(X), plain.decode(X))


# In training


def test_a_trainer_hears_nothing_of_labels(model: Shift) -> None:
    assert torch.equal(labelled(model, LABELS).decode(X), model.decode(X) + LABELS[:, None])
    assert labelled(model, None) is model


def test_dropped_labels_become_no_class(model: Shift) -> None:
    many = torch.full((20_000,), 2)
    dropped = labelled(model, many, 0.3).labels
    assert set(dropped.tolist()) == {2, 3}
    assert (dropped == 3).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(labelled(model, LABELS, 1.0).decode(X), model.decode(X))


# In drawing


def test_by_default_every_class_is_asked_for_in_turn_whatever_the_batches(model: Shift) -> None:
    samples = draw(Decode(), model, 8, seed=0, batch_size=3)
    assert samples.labels is not None and samples.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert torch.equal(samples.x, samples.labels[:, None].expand(8, 2).float())
    assert samples.calls_per_sample == 4  # one for each state, counted through the view


def test_labels_can_be_chosen(model: Shift) -> None:
    chosen = torch.tensor([2, 2, 0, 1])
    samples = draw(Decode(), model, 4, seed=0, labels=chosen, batch_size=3)
    assert torch.equal(samples.labels, chosen) and torch.equal(samples.x[:, 0], chosen.float())


def test_a_model_without_labels_is_asked_for_none() -> None:
    assert draw(Decode(), Shift(None), 4, seed=0).labels is None
    with pytest.raises(InvalidConfig, match="the model was trained without labels and takes none") as caught:
        draw(Decode(), Shift(None), 4, seed=0, labels=torch.zeros(4, dtype=torch.long))
    assert caught.value.status == 2


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([0, 1, 3, 0], r"label 3 is out of range \(allowed: 0 to 2\)"),  # 3 is no class: nobody asks for it by number
        ([0, -1, 0, 0], r"label -1 is out of range \(allowed: 0 to 2\)"),
        ([0, 1], "give 4 whole numbers, one a sample"),
        ([0.0] * 4, "give 4 whole numbers, one a sample"),
        ([True, False, True, False], "labels are torch.bool .*: give 4 whole numbers, one a sample"),
        ([1 + 0j] * 4, "give 4 whole numbers, one a sample"),
    ],
)
def test_labels_that_cannot_be_drawn_are_refused_in_one_line(model: Shift, labels: list[Any], told: str) -> None:
    with pytest.raises(InvalidConfig, match=told) as caught:
        choose_labels(model, 4, torch.tensor(labels))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32])
def test_whole_numbers_of_any_width_are_labels(model: Shift, dtype: torch.dtype) -> None:
    chosen = choose_labels(model, 3, torch.tensor([2, 0, 1]).to(dtype))
    assert chosen is not None and chosen.dtype is torch.int64 and chosen.tolist() == [2, 0, 1]


def test_parameters_and_operations_are_counted_through_the_view(model: Shift) -> None:
    samples = draw(Decode(), model, 5, seed=0)
    assert samples.parameters == needed_parameters(Decode(), model) == 4
    assert samples.flops_per_sample == 4 * 2 * 2 * 2


def test_a_closed_form_mixture_is_drawn_class_by_class() -> None:
    mixture = MixtureReference(torch.tensor([[3.0, 0.0], [-3.0, 0.0]]), 0.01)

    @dataclass(frozen=True)
    class Relax:
        needs: ClassVar[tuple[type, ...]] = (Denoiser,)

        def steps(self, model: Any, n: int, generator: Generator) -> Iterator[Tensor]:
            yield model.denoise(torch.randn((n, 2), generator=generator), torch.tensor(5.0))

    samples = draw(Relax(), mixture, 50, seed=0)
    assert (samples.x[0::2, 0] > 2).all() and (samples.x[1::2, 0] < -2).all()


# Beside the samples


def test_labels_are_kept_as_others_read_them(tmp_path: Path) -> None:
    images, labels = torch.zeros(6, 8, 8, 1, dtype=torch.uint8), torch.arange(6) % 3
    scoring.store_samples(tmp_path, images, labels)
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as kept:
        assert kept.files == ["arr_0", "arr_1"]
        assert kept["arr_1"].dtype == np.int64 and kept["arr_1"].tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(("labels", "columns", "rows"), [(None, 8, 8), (range(3), 3, 8), ([5], 8, 8)])
def test_a_column_of_the_picture_is_a_class(tmp_path: Path, labels: Any, columns: int, rows: int) -> None:
    images = torch.zeros(100, 32, 32, 1, dtype=torch.uint8)
    asked = None if labels is None else torch.tensor(list(labels)).repeat(100)[:100]
    scoring.save_samples(images, tmp_path / "samples.png", asked)
    with Image.open(tmp_path / "samples.png") as picture:
        assert picture.size == (33 * columns + 1, 33 * rows + 1)
