"""What goes together is found by asking small models what they can compute."""

from typing import Any, ClassVar

import pytest
import torch
from conditional import conditional_zoo
from torch import Generator, Tensor, nn

from genzoo.capabilities import Decoder, Energy, NoisyScore, Score
from genzoo.compatibility import Compatibility, compatibility, examples, needs
from genzoo.errors import InvalidOption
from genzoo.hookspecs import hookimpl
from genzoo.listing import table
from genzoo.zoo import Zoo


class Bowl(nn.Module, Energy):
    """E(x) = |x|^2 / 2, for anything."""

    trainer, sampler = "any", "walk"

    def __init__(self, shape: tuple[int, ...], *, levels: int | None = None) -> None:
        super().__init__()
        self.shape, self.levels = shape, levels

    def energy(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1) / 2


class Screen(nn.Module, Decoder):
    """A decoder of images alone."""

    trainer, sampler = "any", "decode"
    latent_shape = (4,)

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(shape) != 3:
            raise ValueError("a screen shows images")
        self.shape = shape

    def decode(self, z: Tensor) -> Tensor:
        return torch.zeros(len(z), *self.shape)


class Nowhere(Screen):
    """A model of shapes that do not exist."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        raise ValueError("no such shape")


class Idle:
    """A trainer of whatever there is."""

    needs: ClassVar[tuple[type, ...]] = ()

    def optimizers(self, model: Any) -> dict[str, Any]:
        return {}

    def losses(self, model: Any, batches: Any) -> Any:
        yield from ()


def sampler(*needed: type, name: str = "Sampler") -> type:
    def steps(self: Any, model: Any, n: int, generator: Generator) -> Any:
        yield from ()

    return type(name, (), {"needs": needed, "steps": steps})


class Plugin:
    @hookimpl
    def genzoo_models(self) -> dict[str, Any]:
        return {"bowl": Bowl, "nowhere": Nowhere, "screen": Screen}

    @hookimpl
    def genzoo_trainers(self) -> dict[str, Any]:
        return {"any": lambda: Idle()}

    @hookimpl
    def genzoo_samplers(self) -> dict[str, Any]:
        built_from_nothing = "json:loads"
        return {
            "decode": sampler(Decoder),
            "walk": sampler(Score),
            "flow": sampler(NoisyScore),
            "both": sampler(Score, Decoder),
            "unusable": built_from_nothing,
        }


@pytest.fixture
def zoo() -> Zoo:
    zoo = Zoo()
    zoo.register(Plugin(), "toys")
    return zoo


def test_the_matrix_counts_conversions_and_leaves_out_what_cannot_be_built(zoo: Zoo) -> None:
    assert compatibility(zoo) == [
        Compatibility("bowl", ("Energy",), ("any",), ("walk",)),
        Compatibility("nowhere", reason="model 'nowhere': no such shape"),
        Compatibility("screen", ("Decoder",), ("any",), ("decode",)),
    ]


def test_a_model_is_tried_on_points_and_on_images_with_their_facts(zoo: Zoo) -> None:
    assert [(model.shape, model.levels) for model in examples(zoo, "bowl")] == [((2,), None), ((1, 8, 8), 256)]
    assert [model.shape for model in examples(zoo, "screen")] == [(1, 8, 8)]
    with pytest.raises(InvalidOption, match="no such shape"):
        examples(zoo, "nowhere")


def test_a_model_with_the_option_is_tried_conditional_too(zoo: Zoo) -> None:
    (row,) = (row for row in compatibility(conditional_zoo()) if row.model == "diffusion")
    assert row.capabilities == ("NoisePredictor", "Conditional")
    assert [getattr(model, "num_classes", None) for model in examples(conditional_zoo(), "diffusion")] == [
        None,
        None,
        10,
    ]


def test_lists_of_names_are_folded_where_they_are_too_wide() -> None:
    rows = [
        {"model": "a-model", "trainers": ("adversarial", "closed-form", "elbo"), "samplers": ("decode", "langevin")},
        {"model": "b", "trainers": (), "samplers": ("decode",)},
    ]
    wide = [
        "model    trainers                        samplers",
        "a-model  adversarial, closed-form, elbo  decode, langevin",
    ]
    assert table(rows).splitlines() == [*wide, "b        -                               decode"]
    narrow = table(rows, 36).splitlines()
    assert narrow == [
        "model    trainers      samplers",
        "a-model  adversarial,  decode,",
        "         closed-form,  langevin",
        "         elbo",
        "b        -             decode",
    ]
    assert table(rows, 5).splitlines() == narrow  # a name is never cut


def test_needs_are_the_factorys_or_those_of_what_it_builds(zoo: Zoo) -> None:
    assert needs(zoo, "sampler", "both") == (Score, Decoder)
    assert needs(zoo, "trainer", "any") == ()
