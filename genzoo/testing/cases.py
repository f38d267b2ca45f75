"""What the checks share: the check itself, the shapes and data they use, and how they build what they judge."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from genzoo.capabilities import offers, supports
from genzoo.errors import GenZooError, InvalidOption
from genzoo.images import is_image, to_unit

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

POINTS, GREY, COLOUR = (2,), (1, 8, 8), (3, 16, 16)
SHAPES: tuple[tuple[int, ...], ...] = (POINTS, GREY, COLOUR)
LEVELS = 17
NUM_CLASSES = 10
CONDITIONAL = "conditional"


@dataclass(frozen=True)
class Check:
    """A check with a readable name; calling it raises (an AssertionError, or what the plugin raised) or returns."""

    name: str
    run: Callable[[], None]

    @property
    def __name__(self) -> str:
        return self.name  # what pytest calls a parameter after

    def __call__(self) -> None:
        python, numpy = random.getstate(), np.random.get_state()
        try:
            with torch.random.fork_rng(devices=[]), torch.enable_grad():
                torch.manual_seed(0)
                self.run()
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def expect(condition: bool | Tensor, reason: str) -> None:
    """Raise AssertionError unless the condition holds."""
    if not condition:
        raise AssertionError(reason)


def expect_close(got: Tensor, wanted: Tensor, tolerance: float, reason: str) -> None:
    """Raise AssertionError unless |got - wanted| <= tolerance * max(1, |wanted|) everywhere."""
    error = ((got - wanted).abs() / wanted.abs().clamp(min=1)).max().item() if got.numel() else 0.0
    expect(error <= tolerance, f"{reason}: they differ by {error:.3g}, allowed is {tolerance:.3g}")


def host_state() -> dict[str, Any]:
    """What the host calls its own, by the name that a message gives it."""
    numpy: Any = np.random.get_state()
    return {
        "torch random state": torch.get_rng_state().numpy().tobytes(),
        "numpy random state": (numpy[1].tobytes(), numpy[2]),
        "python random state": random.getstate(),
        "gradient mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": torch.is_autocast_enabled("cpu"),
    }


def expect_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise AssertionError unless the host's state, as :func:`host_state` tells it, is as before."""
    changed = [key for key, value in before.items() if after[key] != value]
    expect(not changed, f"it changes the host's {', '.join(changed)}")


def seed_everything(seed: int) -> None:
    """Every global random state, from one seed."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def facts(shape: tuple[int, ...]) -> dict[str, int | None]:
    """What the host would know of the data: 17 grey levels for images, 10 classes."""
    return {"levels": LEVELS if is_image(shape) else None, "num_classes": NUM_CLASSES}


def examples(shape: tuple[int, ...], n: int, seed: int = 0) -> Tensor:
    """Data [n, *shape] as the host would give it: points from N(0, 1), images on their grey levels in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    if not is_image(shape):
        return torch.randn(n, *shape, generator=generator)
    channels, height, width = shape
    return to_unit(torch.randint(LEVELS, (n, height, width, channels), generator=generator), LEVELS)


def build(zoo: "Zoo", name: str, shape: tuple[int, ...], seed: int = 0, *, conditional: bool = False) -> Any:
    """A model with default options, but for the one that makes it ``conditional``, initialised from ``seed``."""
    torch.manual_seed(seed)
    return zoo.model(name, shape, {CONDITIONAL: True} if conditional else {}, facts(shape))


def has_condition(zoo: "Zoo", name: str) -> bool:
    """Whether the model has an option that makes it conditional."""
    return CONDITIONAL in {option.name for option in zoo.options("model", name)}


def shake(model: Any) -> Any:
    """The model in eval mode, N(0, 0.05^2) added to every parameter: what starts at zero starts to matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval().requires_grad_(False)


def shaken(zoo: "Zoo", name: str, shape: tuple[int, ...], seed: int = 0, *, conditional: bool = False) -> Any:
    """A model as :func:`build` makes it, shaken."""
    return shake(build(zoo, name, shape, seed, conditional=conditional))


def calls(model: Any, x: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """The arguments, [n, ...] each, for every deterministic capability method that the model has."""
    n, generator = len(x), torch.Generator().manual_seed(1)
    sigma, timestep = torch.linspace(0.3, 0.9, n), torch.arange(n)
    z = torch.randn(n, *getattr(model, "latent_shape", ()), generator=generator)
    arguments: dict[str, tuple[str, tuple[Tensor, ...]]] = {
        "Energy": ("energy", (x,)),
        "Density": ("log_prob", (x,)),
        "Mass": ("log_mass", (x,)),
        "Score": ("score", (x,)),
        "Denoiser": ("denoise", (x, sigma)),
        "NoisyScore": ("noisy_score", (x, sigma)),
        "NoisePredictor": ("predict", (x, timestep)),
        "Decoder": ("decode", (z,)),
        "Encoder": ("encode", (x,)),
        "Critic": ("discriminate", (x,)),
        "Velocity": ("velocity", (x, torch.linspace(0.1, 0.9, n))),
        "NoisyClassifier": ("log_class_probs", (x, sigma)),
    }
    return dict(arguments[capability] for capability in offers(model) if capability in arguments)


def outputs(model: Any, x: Tensor) -> dict[str, Tensor]:
    """What those methods return, by name."""
    return {method: getattr(model, method)(*arguments) for method, arguments in calls(model, x).items()}


def accepted(zoo: "Zoo", name: str) -> list[tuple[int, ...]]:
    """The shapes that the model does not refuse by InvalidOption."""
    return [shape for shape in SHAPES if _accepts(zoo, name, shape)]


def _accepts(zoo: "Zoo", name: str, shape: tuple[int, ...]) -> bool:
    try:
        build(zoo, name, shape)
    except InvalidOption:
        return False
    return True


def find_model(zoo: "Zoo", needs: tuple[type, ...], by: str, role: str) -> tuple[str, tuple[int, ...]]:
    """A model and a shape that meet ``needs``: one whose default ``role`` is ``by`` if there is one, points first."""
    found: list[tuple[bool, int, str]] = []
    for name in zoo.names("model"):
        for number, shape in enumerate(SHAPES):
            try:
                model = build(zoo, name, shape)
            except GenZooError:
                continue  # for the checks of that model to tell
            if supports(model, needs):
                found.append((getattr(model, role) != by, number, name))
    expect(bool(found), f"no installed model offers {', '.join(need.__name__ for need in needs)}")
    _, number, name = min(found)
    return name, SHAPES[number]


@dataclass(frozen=True)
class ModelCase:
    """A registered model at one shape; ``conditional`` if it takes an option to make it so."""

    zoo: "Zoo"
    name: str
    shape: tuple[int, ...]
    conditional: bool = False

    def shaken(self, seed: int = 0) -> Any:
        """The model that most checks judge."""
        return shaken(self.zoo, self.name, self.shape, seed, conditional=self.conditional)

    def examples(self, n: int) -> Tensor:
        """Data for it, [n, *shape]."""
        return examples(self.shape, n)


def label(shape: tuple[int, ...]) -> str:
    """(1, 8, 8) as ``1x8x8``."""
    return "x".join(map(str, shape))


def standard_error_of_covariance(variances: Tensor, n: int) -> Tensor:
    """Of each entry of the sample covariance of n draws from N(0, diag(variances)), [d, d].

    sqrt((v_i v_j + [i = j] v_i^2) / n).
    """
    return torch.sqrt((torch.outer(variances, variances) + torch.diag(variances**2)) / n)


def normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) of each row, [n]."""
    return -0.5 * (z.flatten(1) ** 2 + math.log(2 * math.pi)).sum(1)
