"""Check by check, the kit catches what is not sound in a conditional model."""

from typing import Any, ClassVar

import pytest
import torch
from conditional import conditional_zoo
from torch import Tensor, nn
from torch.optim import Adam
from toys import Affine, Draw, Likelihood, fails, run, zoo_with

from genzoo.capabilities import Conditional, Given, labelled
from genzoo.testing import checks


class Shifted(Affine, Conditional):
    """x = mean + shift of the class + exp(log_std) z: sound."""

    def __init__(self, shape: tuple[int, ...], *, conditional: bool = False, num_classes: int | None = None) -> None:
        super().__init__(shape)
        if conditional:
            assert num_classes is not None
            self.num_classes = num_classes
            self.shifts = nn.Embedding(num_classes + 1, torch.Size(shape).numel())
            nn.init.zeros_(self.shifts.weight)

    def _shift(self, x: Tensor, labels: Tensor | None) -> Tensor:
        if not hasattr(self, "num_classes"):
            return torch.zeros(())
        labels = torch.full((len(x),), self.num_classes) if labels is None else labels
        return self.shifts(labels).view(-1, *self.shape)

    def encode(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return super().encode(x - self._shift(x, labels))

    def decode(self, z: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return super().decode(z) + self._shift(z, labels)

    def log_prob(self, x: Tensor, *, labels: Tensor | None = None) -> Tensor:
        return super().log_prob(x - self._shift(x, labels))

    def given(self, labels: Tensor) -> Any:
        return Given(self, labels)


class Told(Likelihood):
    """Descends -log p(x | y): sound."""

    def losses(self, model: Any, batches: Any) -> Any:
        batch = next(batches)
        yield "model", -labelled(model, batch.y, 0.1).log_prob(batch.x).mean()


def sound(**changed: Any) -> Any:
    return zoo_with(**{"model": Shifted, "trainer": Told, **changed})


ENDS = ("capabilities", "computes", "no_label", "to_their_labels", "are_refused", "it_labels", "given_labels")
CONDITIONAL = [c for c in checks("model", "toy", sound()) if c.name.split("[")[0].endswith(ENDS)]


def test_a_model_with_the_option_is_judged_both_ways() -> None:
    names = {c.name for c in checks("model", "toy", sound())}
    assert {"toy/model/is_a_model[2]", "toy/model/training_teaches_it_labels[1x8x8]"} <= names
    assert not any("labels" in c.name for c in checks("model", "toy", zoo_with()))
    names = {c.name for c in checks("model", "diffusion", conditional_zoo())}
    assert "diffusion/model/no_class_is_no_label[2]" in names


@pytest.mark.parametrize("check", CONDITIONAL)
def test_what_is_sound_passes(check: Any) -> None:
    check()


def test_all_seven_were_tried() -> None:
    assert len(CONDITIONAL) == 2 * 7


class Deaf(Shifted):
    def _shift(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return torch.zeros(())


class ApartFromTheStart(Shifted):
    """Its classes differ before anything was learned."""

    def __init__(self, shape: tuple[int, ...], *, conditional: bool = False, num_classes: int | None = None) -> None:
        super().__init__(shape, conditional=conditional, num_classes=num_classes)
        if conditional:
            nn.init.normal_(self.shifts.weight)


class NullOfItsOwn(Shifted):
    def _shift(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return super()._shift(x, labels) + (0.0 if labels is None else 1.0)


class Shuffled(Shifted):
    def _shift(self, x: Tensor, labels: Tensor | None) -> Tensor:
        return super()._shift(x, None if labels is None else labels.flip(0))


class Forgiving(Shifted):
    def given(self, labels: Tensor) -> Any:
        return super().given(labels.clamp(0, self.num_classes).repeat(4)[:4])


class Unnumbered(Shifted):
    def __init__(self, shape: tuple[int, ...], *, conditional: bool = False, num_classes: int | None = None) -> None:
        super().__init__(shape)


class SamplesOfItsOwnNumber(Draw):
    def steps(self, model: Any, n: int, generator: Any) -> Any:
        yield model.decode(torch.randn((n + 1, *model.latent_shape), generator=generator))[:n]


class Exploding(Told):
    needs: ClassVar = Likelihood.needs

    def optimizers(self, model: Any) -> Any:
        return {"model": Adam(model.parameters(), lr=1e30)}


@pytest.mark.parametrize(
    ("spoilt", "check_name", "reason"),
    [
        ({"model": Deaf}, "labels_change_what_it_computes", "no method returns anything else for another class"),
        ({"model": NullOfItsOwn}, "no_class_is_no_label", "differs between the label num_classes and no label"),
        ({"model": Shuffled}, "rows_keep_to_their_labels", "rows alone against rows in a batch"),
        ({"model": Forgiving}, "wrong_labels_are_refused", "labels -1 are taken"),
        ({"model": Unnumbered}, "conditioning_keeps_the_capabilities", "with conditional=true it has no num_classes"),
        ({"trainer": Likelihood}, "training_teaches_it_labels", "after 3 steps of likelihood no method returns"),
        (
            {"model": ApartFromTheStart, "trainer": Likelihood},
            "training_teaches_it_labels",
            "3 steps of likelihood leave the same model whatever the labels: pass them on",
        ),
        ({"trainer": Exploding}, "training_teaches_it_labels", "a loss with labels is not finite"),
    ],
)
def test_a_fault_is_caught(spoilt: dict[str, Any], check_name: str, reason: str) -> None:
    with fails(reason):
        run("model", "toy", check_name, sound(**spoilt))


def test_a_sampler_that_asks_for_other_rows_than_were_labelled_is_caught() -> None:
    with pytest.raises(ValueError, match="4 labels are given for 5 rows"):
        run("model", "toy", "draws_given_labels", sound(sampler=SamplesOfItsOwnNumber))
