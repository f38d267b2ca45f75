"""What every sampler must satisfy.

Right means: on a closed-form model, within 4 Monte-Carlo standard errors of the truth at n = 20,000. A sampler whose
algorithm is biased says how by an optional method ``expected_std(model, std) -> float``: the standard deviation that
its formula gives where the data are N(mean, std^2), in each direction by itself. Of the model it may use the noise
process (``betas``, ``sigma_min``, ``sigma_max``). Unadjusted Langevin's is std / sqrt(1 - e / (4 std^2)) whatever the
model. Seeds are fixed, so a check that passes always passes.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.capabilities import supports
from genzoo.testing.cases import (
    GREY,
    POINTS,
    Check,
    expect,
    expect_same_state,
    find_model,
    host_state,
    label,
    seed_everything,
    shaken,
    standard_error_of_covariance,
)
from genzoo.testing.reference import GaussianReference, MixtureReference

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

NUM_SAMPLES = 20_000
NUM_SAMPLES_OF_IMAGES = 4_000
MODE_STD = 0.2


def ellipse() -> GaussianReference:
    """N((0.2, -0.1), C), C with standard deviations 0.5 and 0.3 along axes turned by 30 degrees."""
    cos, sin = math.cos(math.pi / 6), math.sin(math.pi / 6)
    axes = torch.tensor([[cos, -sin], [sin, cos]])
    return GaussianReference(torch.tensor([0.2, -0.1]), axes @ torch.diag(torch.tensor([0.25, 0.09])) @ axes.T)


def picture() -> GaussianReference:
    """8x8 images with independent pixels: a ramp from -0.2 to 0.2 plus N(0, 0.2^2)."""
    return GaussianReference(torch.linspace(-0.2, 0.2, math.prod(GREY)).view(GREY), 0.2**2)


def square() -> MixtureReference:
    """Four Gaussians of standard deviation 0.2 at the corners (+-1, +-1)."""
    return MixtureReference(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]), MODE_STD**2)


@dataclass(frozen=True)
class SamplerCase:
    """A sampler and a model that it is judged on."""

    zoo: "Zoo"
    name: str
    model: Callable[[], Any]

    def states(self, n: int, seed: int = 0, model: Any | None = None) -> list[Tensor]:
        """Every state, by a generator seeded with ``seed``."""
        model = self.model() if model is None else model
        with torch.no_grad():
            return list(self.zoo.sampler(self.name).steps(model, n, torch.Generator().manual_seed(seed)))

    def sample(self, n: int, model: Any | None = None) -> Tensor:
        """The last state, float64; the others are not kept."""
        model = self.model() if model is None else model
        with torch.no_grad():
            for state in self.zoo.sampler(self.name).steps(model, n, torch.Generator().manual_seed(0)):
                last = state
        return last.double()


def is_a_frozen_dataclass(case: SamplerCase) -> None:
    """Its settings can be recorded and cannot change."""
    sampler = case.zoo.sampler(case.name)
    expect(dataclasses.is_dataclass(sampler), f"{type(sampler).__name__} is no dataclass")
    expect(type(sampler).__dataclass_params__.frozen, f"{type(sampler).__name__} is not frozen")


def states_have_shape_and_are_finite(case: SamplerCase) -> None:
    """Every state is [n, *shape], for n = 1 and 5; the last one is finite floating-point data."""
    for n in (1, 5):
        states = case.states(n)
        expect(bool(states), "it yields no state")
        wanted = (n, *case.model().shape)
        for state in states:
            expect(tuple(state.shape) == wanted, f"a state is {tuple(state.shape)}, not {wanted}")
        expect(states[-1].is_floating_point(), f"the sample is {states[-1].dtype}")
        expect(states[-1].isfinite().all(), "the sample is not finite")


def follows_its_generator_alone(case: SamplerCase) -> None:
    """The same generator seed gives the same sample whatever the global seed; another gives another."""
    samples = []
    for global_seed, seed in ((0, 5), (1, 5), (0, 6)):
        seed_everything(global_seed)
        samples.append(case.states(3, seed)[-1])
    expect(torch.equal(samples[0], samples[1]), "the sample depends on more than the generator's seed")
    expect(not torch.equal(samples[0], samples[2]), "two seeds of the generator give one sample")


def touches_no_global_state(case: SamplerCase) -> None:
    """Random states, gradient mode, autocast and the model's training mode are as before, at every state."""
    model = case.model()
    before = {**host_state(), "model's training mode": model.training}
    for _ in case.zoo.sampler(case.name).steps(model, 2, torch.Generator().manual_seed(0)):
        expect_same_state(before, {**host_state(), "model's training mode": model.training})


def calls_are_counted(case: SamplerCase) -> None:
    """Rows passed through the model: at least one a sample, and the same for the same settings and seed."""
    from genzoo.sampling import Counted

    counts = []
    for _ in range(2):
        counted = Counted(case.model(), case.zoo.sampler(case.name).needs)
        case.states(4, model=counted)
        counts.append(counted.rows)
    expect(counts[0] == counts[1], f"the same draw made {counts[0]} and then {counts[1]} calls")
    expect(counts[0] >= 4, f"{counts[0]} rows passed through the model for 4 samples: does it bypass the capabilities?")


def has_the_right_mean_and_covariance(case: SamplerCase) -> None:
    """In the reference's eigenbasis, against the truth or the sampler's ``expected_std``.

    Within 4 standard errors at n = 20,000 on points; within 5 at n = 4,000 on images, where 64 means and 2080
    covariances are compared at once.
    """
    model = case.model()
    n = NUM_SAMPLES if model.shape == POINTS else NUM_SAMPLES_OF_IMAGES
    aligned = (case.sample(n, model).flatten(1) - model.centres[0]) @ model.basis.double()
    variances = _expected_variances(case, model)
    off_mean = (aligned.mean(0).abs() / torch.sqrt(variances / n)).max().item()
    errors = (torch.cov(aligned.T) - torch.diag(variances)) / standard_error_of_covariance(variances, n)
    allowed = 4 if model.shape == POINTS else 5
    ratio = ((aligned.var(0) / variances).mean() ** 0.5).item()
    expect(off_mean <= allowed, f"the mean is {off_mean:.1f} standard errors off, allowed are {allowed}")
    expect(
        errors.abs().max() <= allowed,
        f"the covariance is {errors.abs().max():.1f} standard errors off, allowed are {allowed}; the standard "
        f"deviation is {ratio:.3f} times the expected one",
    )


def _expected_variances(case: SamplerCase, model: Any) -> Tensor:
    sampler = case.zoo.sampler(case.name)
    stds = model.variances.double().sqrt()
    if hasattr(sampler, "expected_std"):
        stds = torch.tensor([sampler.expected_std(model, std) for std in stds.tolist()], dtype=torch.float64)
    return stds**2


def finds_every_mode(case: SamplerCase) -> None:
    """Each of four equal modes gets a quarter, within 4 standard errors, and its spread within a factor of 1.25."""
    model, n = case.model(), NUM_SAMPLES
    x = case.sample(n, model)
    offsets = x[:, None] - model.centres
    nearest = offsets.norm(dim=2).argmin(1)
    shares = torch.bincount(nearest, minlength=4) / n
    expect(
        (shares - 0.25).abs().max() <= 4 * math.sqrt(0.25 * 0.75 / n),
        f"four equal modes get the shares {[round(s, 3) for s in shares.tolist()]}",
    )
    spread = offsets[torch.arange(n), nearest].square().mean().sqrt().item()
    expect(1 / 1.25 <= spread / MODE_STD <= 1.25, f"the modes' standard deviation is {spread:.3f}, {MODE_STD} is right")


def keeps_every_row_to_its_label(case: SamplerCase) -> None:
    """On a model conditioned row by row, at least 99 % of 400 rows end in the mode that is theirs."""
    model = case.model()
    labels = torch.arange(400) % 4
    x = case.sample(400, model.given(labels))
    nearest = (x[:, None] - model.centres).norm(dim=2).argmin(1)
    share = (nearest == labels).double().mean().item()
    expect(share >= 0.99, f"only {share:.1%} of the rows follow their own label")


_MECHANICAL = (
    states_have_shape_and_are_finite,
    follows_its_generator_alone,
    touches_no_global_state,
    calls_are_counted,
)
_PLAN: dict[Callable[[], Any], tuple[Callable[[SamplerCase], None], ...]] = {
    ellipse: (*_MECHANICAL, has_the_right_mean_and_covariance),
    picture: (states_have_shape_and_are_finite, has_the_right_mean_and_covariance),
    square: (finds_every_mode, keeps_every_row_to_its_label),
}


def sampler_checks(zoo: "Zoo", name: str) -> list[Check]:
    """On every closed-form model that has what the sampler needs; if none has, on a model of the zoo that has."""
    needs = zoo.sampler(name).needs
    plan = {reference: tests for reference, tests in _PLAN.items() if supports(reference(), needs)}
    labels = {reference: reference.__name__ for reference in plan}
    if not plan:
        model, shape = find_model(zoo, needs, name, "sampler")
        stand_in = partial(shaken, zoo, model, shape)
        plan, labels = {stand_in: _MECHANICAL}, {stand_in: f"{model}-{label(shape)}"}
    form = partial(is_a_frozen_dataclass, SamplerCase(zoo, name, next(iter(plan))))
    return [Check(f"{name}/sampler/is_a_frozen_dataclass", form)] + [
        Check(f"{name}/sampler/{test.__name__}[{labels[model]}]", partial(test, SamplerCase(zoo, name, model)))
        for model, tests in plan.items()
        for test in tests
    ]
