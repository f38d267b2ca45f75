"""Every model with every trainer and sampler that fits: what is run, and what is caught."""

import math
from typing import Any

import pytest
import torch
from conditional import conditional_zoo
from toys import Affine, Draw, Likelihood, fails, zoo_with

from genzoo.errors import InvalidOption
from genzoo.testing import plugin_checks
from genzoo.testing.combinations import combination_checks


def combinations(zoo: Any, plugin: str = "toy") -> dict[str, Any]:
    return {check.name: check for check in combination_checks(zoo, plugin)}


def test_what_fits_by_capability_is_tried_on_images_where_there_are_any() -> None:
    assert set(combinations(zoo_with())) == {
        "toy/combination/trains[likelihood-1x8x8]",
        "toy/combination/samples[draw-1x8x8]",
    }

    class Points(Affine):
        def __init__(self, shape: tuple[int, ...]) -> None:
            if len(shape) == 3:
                raise InvalidOption("points only")
            super().__init__(shape)

    assert "toy/combination/trains[likelihood-2]" in combinations(zoo_with(model=Points))


def test_conversions_fit_and_what_no_sampler_needs_is_left_out() -> None:
    names = set(combinations(conditional_zoo(), "conditional"))
    assert "diffusion/combination/samples[descend-1x8x8]" in names  # of a noisy score, which the noise is made into
    assert not any(name.startswith("noisy-classifier/combination/samples") for name in names)
    assert "clusters/combination/trains[fit-1x8x8]" in names  # a trainer of another model, of the same needs
    assert len(names) == 5 + 5


def test_a_plugin_is_tried_with_the_models_and_the_trainers_of_others() -> None:
    zoo = zoo_with()

    class Guest:
        from genzoo.hookspecs import hookimpl

        @hookimpl
        def genzoo_models(self) -> dict[str, Any]:
            return {"guest": Affine}

    zoo.register(Guest(), "guests")
    assert {name.split("/")[0] for name in combinations(zoo, "guests")} == {"guest"}
    assert {name.split("/")[0] for name in combinations(zoo)} == {"guest", "toy"}
    assert set(combinations(zoo)) <= {check.name for check in plugin_checks("toy", zoo)}


@pytest.mark.parametrize("name", combinations(conditional_zoo(), "conditional"))
def test_what_is_sound_passes(name: str) -> None:
    combinations(conditional_zoo(), "conditional")[name]()


class Nothing(Likelihood):
    def losses(self, model: Any, batches: Any) -> Any:
        next(batches)
        yield "model", sum((0 * p).sum() for p in model.parameters())


class Endless(Likelihood):
    def losses(self, model: Any, batches: Any) -> Any:
        for name, loss in super().losses(model, batches):
            yield name, loss * math.inf


class NotFinite(Draw):
    def steps(self, model: Any, n: int, generator: Any) -> Any:
        yield torch.full((n, *model.shape), math.nan)


class Flat(Draw):
    def steps(self, model: Any, n: int, generator: Any) -> Any:
        yield torch.zeros(n, 3)


class Silent(Draw):
    def steps(self, model: Any, n: int, generator: Any) -> Any:
        yield from ()


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        ({"trainer": Nothing}, "nothing moves"),
        ({"trainer": Endless}, "a loss is not finite"),
        ({"sampler": NotFinite}, "a state is not finite"),
        ({"sampler": Flat}, r"a state is \(3, 3\)"),
        ({"sampler": Silent}, "it yields no state"),
    ],
)
def test_a_combination_that_does_not_work_is_caught(spoilt: dict[str, Any], reason: str) -> None:
    name = "samples[draw-1x8x8]" if "sampler" in spoilt else "trains[likelihood-1x8x8]"
    with fails(reason):
        combinations(zoo_with(**spoilt))[f"toy/combination/{name}"]()


def test_a_trainer_may_refuse_a_model_in_words_before_it_begins() -> None:
    class Choosy(Likelihood):
        def optimizers(self, model: Any) -> Any:
            raise ValueError("no parameters of mine in this model")

    combinations(zoo_with(trainer=Choosy))["toy/combination/trains[likelihood-1x8x8]"]()
