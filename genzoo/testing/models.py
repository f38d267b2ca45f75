"""What every model must satisfy, chosen by the capabilities it offers.

Models are judged as a newcomer meets them (default options) but *shaken*: N(0, 0.05^2) is added to every parameter, so
that a network that starts as the identity or at zero hides nothing. Computations are in float32; tolerances are
relative to max(1, |wanted|).
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from torch import nn

from genzoo.capabilities import (
    CAPABILITIES,
    Conditional,
    Density,
    Energy,
    ImportanceWeighted,
    LowerBound,
    Mass,
    NoisyScore,
    as_denoiser,
    as_energy,
    as_noisy_score,
    as_score,
    expand,
    offers,
    require,
    supports,
)
from genzoo.images import is_image
from genzoo.testing.cases import (
    COLOUR,
    POINTS,
    Check,
    ModelCase,
    accepted,
    build,
    calls,
    expect,
    expect_close,
    label,
    outputs,
)
from genzoo.testing.conditional import conditional_checks
from genzoo.testing.fitting import to_safetensors
from genzoo.testing.likelihoods import (
    density_integrates_to_one,
    encode_inverts_decode,
    has_a_likelihood_of_points,
    importance_weights_are_consistent,
    importance_weights_integrate_to_one,
    importance_weights_sum_to_one,
    is_a_bijection,
    likelihood_is_at_most_the_truth_s,
    log_bound_is_a_bound,
    log_prob_is_the_change_of_variables,
    masses_sum_to_one,
    weighs_points,
)

if TYPE_CHECKING:
    from genzoo.zoo import Zoo


def is_a_model(case: ModelCase) -> None:
    """An nn.Module of the asked shape that offers a capability and has every member of those it declares."""
    model = build(case.zoo, case.name, case.shape)
    expect(isinstance(model, nn.Module), f"{type(model).__name__} is no nn.Module")
    expect(tuple(model.shape) == case.shape, f"its shape is {model.shape}, {case.shape} was asked for")
    expect(bool(offers(model)), "it offers no capability")
    always = [c for c in CAPABILITIES if c is not Conditional]  # what it may be, as its options say
    declared = [c.__name__ for c in always if c in type(model).__mro__ and not supports(model, (c,))]
    expect(not declared, f"it declares {', '.join(declared)} and lacks a member of it")


def names_its_trainer_and_sampler(case: ModelCase) -> None:
    """The names used when none is asked for are registered, and what they need is there; "" of none that samples."""
    model = build(case.zoo, case.name, case.shape)
    require(model, case.zoo.trainer(model.trainer).needs, model_name=case.name, by=model.trainer)
    if model.sampler:
        require(model, case.zoo.sampler(model.sampler).needs, model_name=case.name, by=model.sampler)


def follows_the_global_seed(case: ModelCase) -> None:
    """One seed, one initialisation."""
    first, again = (build(case.zoo, case.name, case.shape).state_dict() for _ in range(2))
    expect(all(torch.equal(value, again[key]) for key, value in first.items()), "one seed gives two initialisations")


def outputs_have_shape_and_are_finite(case: ModelCase) -> None:
    """[n], [n, *shape] or [n, *latent_shape] as the capability says, float32 and finite, for n = 1 and 5."""
    model = case.shaken()
    for n in (1, 5):
        latent = (n, *getattr(model, "latent_shape", ()))
        data = ("score", "denoise", "noisy_score", "predict", "velocity", "decode")
        special = {"encode": latent, "log_class_probs": (n, getattr(model, "num_classes", 0))}
        for method, value in outputs(model, case.examples(n)).items():
            wanted = (n, *case.shape) if method in data else special.get(method, (n,))
            fits = tuple(value.shape) == wanted or (method == "encode" and len(value) == n and len(wanted) == 1)
            expect(fits, f"{method} returns {tuple(value.shape)}, not {wanted}")
            expect(value.dtype == torch.float32, f"{method} returns {value.dtype} for float32")
            expect(value.isfinite().all(), f"{method} is not finite")


def rows_are_independent(case: ModelCase) -> None:
    """In eval mode a row of a batch of 5 gives what it gives alone, within 1e-3, and the same when asked again."""
    model = case.shaken()
    for method, arguments in calls(model, case.examples(5)).items():
        together = getattr(model, method)(*arguments)
        alone = torch.cat([getattr(model, method)(*(a[i : i + 1] for a in arguments)) for i in range(5)])
        expect_close(alone, together, 1e-3, f"{method}: rows alone against rows in a batch")


def survives_saving_and_loading(case: ModelCase) -> None:
    """Its state in a safetensors file, loaded into a model of another seed, gives bit for bit the same outputs."""
    model, other = case.shaken(), case.shaken(seed=1)
    other.load_state_dict(safetensors.torch.load(to_safetensors(model.state_dict())))
    x = case.examples(3)
    loaded = outputs(other, x)
    for method, value in outputs(model, x).items():
        expect(torch.equal(value, loaded[method]), f"{method} differs after saving and loading")


def score_is_minus_the_slope_of_the_energy(case: ModelCase) -> None:
    """Along the score, a central difference of the energy (h = 0.01) is -|score| within 2 % and rounding."""
    model, x, h = case.shaken(), case.examples(4), 0.01
    energy, score = as_energy(model).energy, as_score(model).score(x)
    norm = score.flatten(1).norm(dim=1)
    step = h * score / expand(norm.clamp(min=1e-12), x)
    slope = (energy(x + step) - energy(x - step)) / (2 * h)
    allowed = 0.02 * norm + 1e-3 * energy(x).abs().clamp(min=1)
    worst = ((slope + norm).abs() - allowed).argmax()
    expect(
        ((slope + norm).abs() <= allowed).all(),
        f"the energy falls by {-slope[worst].item():.4g} along a score of length {norm[worst].item():.4g}",
    )


def noise_levels_are_consistent(case: ModelCase) -> None:
    """0 < sigma_min < sigma_max; one sigma for all is n equal ones; D = x + sigma^2 score(x; sigma) within 1e-3."""
    model, x = case.shaken(), case.examples(3)
    noisy, denoiser = as_noisy_score(model), as_denoiser(model)
    expect(0 < noisy.sigma_min < noisy.sigma_max, f"its noise is from {noisy.sigma_min} to {noisy.sigma_max}")
    for sigma in torch.tensor([max(0.05, noisy.sigma_min), min(1.0, noisy.sigma_max)]):
        score, denoised = noisy.noisy_score(x, sigma), denoiser.denoise(x, sigma)
        expect_close(noisy.noisy_score(x, sigma.expand(3)), score, 1e-3, "noisy score of sigma [] and [n]")
        expect_close(denoiser.denoise(x, sigma.expand(3)), denoised, 1e-3, "denoised with sigma [] and [n]")
        expect_close(x + sigma**2 * score, denoised, 1e-3, "x + sigma^2 score against the denoised")


_Test = Callable[[ModelCase], None]

_ALWAYS: tuple[_Test, ...] = (
    is_a_model,
    names_its_trainer_and_sampler,
    follows_the_global_seed,
    outputs_have_shape_and_are_finite,
    rows_are_independent,
    survives_saving_and_loading,
)


_CHOSEN: tuple[tuple[_Test, Callable[[Any], bool]], ...] = (
    (score_is_minus_the_slope_of_the_energy, lambda m: supports(m, (Energy,))),
    (noise_levels_are_consistent, lambda m: supports(m, (NoisyScore,))),
    (log_bound_is_a_bound, lambda m: supports(m, (LowerBound,))),
    (importance_weights_are_consistent, lambda m: supports(m, (ImportanceWeighted,))),
    (importance_weights_sum_to_one, lambda m: is_image(m.shape) and supports(m, (ImportanceWeighted,))),
    (importance_weights_integrate_to_one, weighs_points),
    (masses_sum_to_one, lambda m: is_image(m.shape) and supports(m, (Mass,))),
    (density_integrates_to_one, lambda m: m.shape == POINTS and supports(m, (Density,))),
    (likelihood_is_at_most_the_truth_s, has_a_likelihood_of_points),
    (encode_inverts_decode, is_a_bijection),
    (log_prob_is_the_change_of_variables, is_a_bijection),
)


def model_checks(zoo: "Zoo", name: str) -> list[Check]:
    """For every shape that the model accepts, at least one; on colour images the first and the fourth check alone."""
    shapes = accepted(zoo, name)
    expect(bool(shapes), f"model {name!r} accepts neither points nor images: InvalidOption at every shape")
    return [
        Check(f"{name}/model/{test.__name__}[{label(shape)}]", partial(test, ModelCase(zoo, name, shape)))
        for shape in shapes
        for test in _tests(zoo, name, shape)
    ] + conditional_checks(zoo, name, [shape for shape in shapes if shape != COLOUR])


def _tests(zoo: "Zoo", name: str, shape: tuple[int, ...]) -> tuple[_Test, ...]:
    if shape == COLOUR:
        return (is_a_model, outputs_have_shape_and_are_finite)
    model = build(zoo, name, shape)
    return (*_ALWAYS, *(test for test, applies in _CHOSEN if applies(model)))
