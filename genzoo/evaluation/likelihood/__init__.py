"""How well a model predicts held-out data: bits per dimension of images, nats of points, and what kind of number it is.

======================================================  ========================================================
kind, the strongest statement first                     what is computed
======================================================  ========================================================
``exact``                                               log P of the levels, or log p of points
``quadrature``                                          an energy in the plane, its partition function summed
``lower bound (importance-weighted dequantisation)``    a density of images, averaged over noise within a level
``lower bound (uniform dequantisation)``                the same with one draw of the noise
``lower bound (importance-weighted, k=..)``             a latent-variable model, k draws of the latent
``lower bound (variational)``                           one draw of a model's own bound
``lower bound (variational, T steps, variance ..)``     a diffusion process, step by step
``estimate (probability-flow ODE)``                     a denoiser, by the equation that carries data to noise
``estimate (AIS, forward)``, ``(AIS, reverse)``         an energy, its partition function annealed from both ends
``none``                                                nothing; ``reason`` says why
======================================================  ========================================================

Dequantisation belongs to this harness. A density p of continuous x gives the image with levels k the mass P(k) =
integral of p over a cube around k with the side D = 2 / (L - 1) of one level. By Jensen's inequality, with u uniform on
(-1/2, 1/2) in each of the d dimensions::

    log P(k) >= E_u[log p(k + D u)] + d log D

so a density bounds the likelihood of images from below (A Note on the Evaluation of Generative Models, Theis et al.,
2016), and its kind says ``uniform dequantisation`` too. Bits per dimension are -log P / (d log 2), so a lower bound of
the likelihood is an upper bound of the bits. Kinds are never ranked together.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities import Conditional, offers, supports
from genzoo.evaluation.checks import subset
from genzoo.evaluation.likelihood.ais import annealed
from genzoo.evaluation.likelihood.diffusion import diffusion
from genzoo.evaluation.likelihood.direct import densities, importance_weighted, masses, variational
from genzoo.evaluation.likelihood.probability_flow import probability_flow
from genzoo.evaluation.likelihood.quadrature import quadrature
from genzoo.evaluation.likelihood.task import GIVEN_LABELS, NoLikelihood, Statement, Task, check_examples, none
from genzoo.evaluation.parts import Likelihood

__all__ = ["GIVEN_LABELS", "likelihoods"]

Method = Callable[[Any, Task], Iterator[Statement]]
METHODS: tuple[Method, ...] = (
    masses, quadrature, densities, importance_weighted, variational, diffusion, probability_flow, annealed,
)  # fmt: skip


def likelihoods(
    model: Any,
    test_x: Tensor,
    levels: int | None,
    *,
    labels: Tensor | None = None,
    num_images: int | None = 256,
    seed: int = 0,
    full: bool = False,
) -> tuple[Likelihood, ...]:
    """Every mean negative log-likelihood of ``test_x`` [n, *shape] that the model allows, the headline first.

    Each has its standard error over the examples and over what is drawn, and the calls: rows through the network for
    each example, where one with its gradient counts once. What cannot be computed comes last, with the reason; a model
    that allows none has one of kind ``none``.

    Args:
        test_x: images in [-1, 1] on their levels, or points.
        levels: grey levels of images; None for points.
        labels: the classes of ``test_x``, [n]: a conditional model is one of p(x | y), and the kind says so.
        num_images: a random subset this large, fixed by ``seed``; None for all. Points are all used, but for what
            costs many calls.
        seed: fixes the subset, the dequantisation noise and every other draw.
        full: minutes instead of seconds: more draws, every timestep of a diffusion, tighter tolerances.

    Raises:
        InvalidSamples: no examples, or of another shape than the model's, not finite, or not on the levels.
    """
    check_examples(test_x, tuple(model.shape), levels)
    n = len(test_x) if levels is None or num_images is None else num_images
    model, rows = model.eval(), subset(len(test_x), n, seed) if n < len(test_x) else slice(None)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    conditional = supports(model, (Conditional,))
    y = labels[rows].to(device) if labels is not None and conditional else None
    task = Task(test_x[rows].to(device), levels, seed, full, y)
    if conditional and y is None:
        return (none(task, "the model is one of p(x | label), and the test examples have no labels"),)
    with torch.no_grad():
        found = [one for method in METHODS for one in _told(method, model, task)]
    if not found:
        have = ", ".join(offers(model)) or "nothing"
        found = [none(task, f"no likelihood: the model offers {have}, of which none says how likely an example is")]
    return tuple(sorted(found, key=lambda one: one.value is None))


def _told(method: Method, model: Any, task: Task) -> list[Likelihood]:
    """What one method says, or why it says nothing; the global random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(task.seed)  # a model's own draws take the global stream: its capability has no generator
        try:
            return [statement.as_likelihood(task) for statement in method(model, task)]
        except NoLikelihood as error:
            return [none(task, str(error))]
