"""What every likelihood must satisfy: it is normalised, and never better than the truth."""

import math
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import Decoder, Density, Encoder, ImportanceWeighted, LowerBound, supports
from genzoo.images import to_unit
from genzoo.protocols import Batch
from genzoo.testing.cases import POINTS, ModelCase, build, expect, expect_close, normal_log_prob, shake
from genzoo.testing.fitting import TARGET, Batches, Training, fitted


def _fitted(case: ModelCase) -> Any:
    """The model after the short training of :func:`genzoo.testing.fitting.fitted` by its own trainer."""
    return fitted(case.zoo, build(case.zoo, case.name, case.shape).trainer, case.name)


def log_bound_is_a_bound(case: ModelCase) -> None:
    """[n] and finite; its mean is at most that of log p(x) where that is known too, at most 0 of a mass; 4 s.e."""
    model, x = case.shaken(), case.examples(256)
    expect(model.bounds in ("density", "mass"), f"bounds is {model.bounds!r}, not 'density' or 'mass'")
    bound = model.log_bound(x)
    expect(tuple(bound.shape) == (256,), f"log_bound returns {tuple(bound.shape)}, not (256,)")
    expect(bound.isfinite().all(), "log_bound is not finite")
    if model.bounds == "mass":
        _expect_at_most_zero(bound, "the bound of log P(x)")
    elif supports(model, (Density,)):
        _expect_at_most_zero(bound - model.log_prob(x), "log_bound(x) - log_prob(x)")


def _expect_at_most_zero(values: Tensor, what: str) -> None:
    mean, error = values.double().mean().item(), values.double().std().item() / len(values) ** 0.5
    expect(mean <= 4 * error + 1e-4, f"{what} is {mean:.4g} +- {error:.2g} on average, which cannot be above 0")


def importance_weights_are_consistent(case: ModelCase) -> None:
    """[k, n] and finite; the log of the mean of 16 is on average at least the log of one.

    And at most log p(x) where that is known too, at most 0 of a mass; each within 4 standard errors.
    """
    model, x = case.shaken(), case.examples(256)
    weights = model.log_weights(x, 16)
    expect(tuple(weights.shape) == (16, 256), f"log_weights returns {tuple(weights.shape)} for k = 16, not (16, 256)")
    expect(weights.isfinite().all(), "log_weights is not finite")
    bound = weights.double().logsumexp(0) - math.log(16)
    _expect_at_most_zero(model.log_weights(x, 1)[0] - bound, "one log weight less the log mean of 16")
    if model.bounds == "mass":
        _expect_at_most_zero(bound, "the bound of log P(x)")
    elif supports(model, (Density,)):
        _expect_at_most_zero(bound - model.log_prob(x), "the log mean weight less log_prob(x)")


def importance_weights_sum_to_one(case: ModelCase) -> None:
    """The mean of 2,000 weights of each of the 81 images of 2x2 pixels and 3 levels: their sum is 1 within 0.05.

    After 50 steps of its trainer on all of them and as many of one grey: weights of a posterior that knows nothing of
    the model vary too much for any number of draws.
    """
    if build(case.zoo, case.name, case.shape).bounds != "mass":
        return
    every, facts = _every_small_image(), {"levels": 3, "num_classes": None}
    torch.manual_seed(0)
    model = case.zoo.model(case.name, (1, 2, 2), {}, facts)
    seen = Batch(torch.cat([every, every[::40].repeat(27, 1, 1, 1)]))
    training = Training(model, case.zoo.trainer(model.trainer, {}, facts), Batches(lambda number: seen), Batch(every))
    for _ in range(50):
        training.step()
    with torch.no_grad():
        total = model.eval().log_weights(every, 2000).double().exp().mean(0).sum().item()
    expect(abs(total - 1) <= 0.05, f"the mean weights of all images sum to {total:.4f}")


def importance_weights_integrate_to_one(case: ModelCase) -> None:
    """After the short training, the mean of 64 weights over [-6, 6]^2 in cells of 0.1, within 0.05."""
    model, cell = _fitted(case), 0.1
    axis = torch.arange(-6 + cell / 2, 6, cell)
    parts = torch.cartesian_prod(axis, axis).split(1000)
    total = sum(model.log_weights(part, 64).double().exp().mean(0).sum().item() for part in parts) * cell**2
    expect(abs(total - 1) <= 0.05, f"the mean weights integrate to {total:.4f}")


def _every_small_image() -> Tensor:
    return to_unit(torch.cartesian_prod(*[torch.arange(3)] * 4).view(-1, 2, 2, 1), 3)


def masses_sum_to_one(case: ModelCase) -> None:
    """Over all 81 images of 2x2 pixels and 3 levels, within 1e-3."""
    torch.manual_seed(0)
    model = shake(case.zoo.model(case.name, (1, 2, 2), {}, {"levels": 3, "num_classes": None}))
    total = model.log_mass(_every_small_image()).double().exp().sum().item()
    expect(abs(total - 1) <= 1e-3, f"the masses of all images sum to {total:.4f}")


def density_integrates_to_one(case: ModelCase) -> None:
    """After a short training on N((0.5, -0.3), 0.5^2), over [-6, 6]^2 in cells of 0.05, within 0.02."""
    model, cell = _fitted(case), 0.05
    axis = torch.arange(-6 + cell / 2, 6, cell)
    log_prob = torch.cat([model.log_prob(part) for part in torch.cartesian_prod(axis, axis).split(10_000)])
    total = log_prob.double().exp().sum().item() * cell**2
    expect(abs(total - 1) <= 0.02, f"the density integrates to {total:.4f}")


def likelihood_is_at_most_the_truth_s(case: ModelCase) -> None:
    """After the same training, E[log q(x)] <= E[log p(x)] on 4,000 draws x ~ p, within 4 standard errors (Gibbs)."""
    model, x = _fitted(case), TARGET.sample(4000, torch.Generator().manual_seed(7))
    log_q = model.log_prob(x) if supports(model, (Density,)) else model.log_bound(x)
    _expect_at_most_zero(log_q - TARGET.log_prob(x), "log q(x) - log p(x)")


def encode_inverts_decode(case: ModelCase) -> None:
    """x -> z -> x and z -> x -> z, within 1e-2."""
    model, x = case.shaken(), case.examples(5)
    z = model.encode(x)
    expect_close(model.decode(z), x, 1e-2, "decode(encode(x)) against x")
    expect_close(model.encode(model.decode(z)), z, 1e-2, "encode(decode(z)) against z")


def log_prob_is_the_change_of_variables(case: ModelCase) -> None:
    """log p(x) = log N(f(x); 0, I) + log|det df/dx|, the Jacobian by automatic differentiation; 1e-3 a dimension."""
    model, x = case.shaken(), case.examples(2)
    log_prob = model.log_prob(x)
    for row, value in zip(x, log_prob, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda r: model.encode(r[None]).flatten(), row)
        log_det = torch.linalg.slogdet(jacobian.view(row.numel(), -1))[1]
        wanted = normal_log_prob(model.encode(row[None]))[0] + log_det
        error = (value - wanted).abs().item()
        expect(error <= 1e-3 * row.numel(), f"log_prob is {value:.5g}, the change of variables gives {wanted:.5g}")


def has_a_likelihood_of_points(model: Any) -> bool:
    """Whether it has a density of points, or a bound of one."""
    bounds_it = supports(model, (LowerBound,)) and model.bounds == "density"
    return model.shape == POINTS and (bounds_it or supports(model, (Density,)))


def weighs_points(model: Any) -> bool:
    """Whether it has importance weights of a density of points."""
    return model.shape == POINTS and supports(model, (ImportanceWeighted,)) and model.bounds == "density"


def is_a_bijection(model: Any) -> bool:
    """Whether its density is that of a latent of as many dimensions, which it encodes and decodes."""
    return supports(model, (Density, Encoder, Decoder)) and math.prod(model.latent_shape) == math.prod(model.shape)
