"""What every conditional model must satisfy: one that is so by default, or by its option ``conditional``."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genzoo.capabilities import Conditional, offers, supports
from genzoo.testing.cases import (
    Check,
    ModelCase,
    build,
    calls,
    expect,
    expect_close,
    has_condition,
    label,
    outputs,
    seed_everything,
)
from genzoo.testing.fitting import started

if TYPE_CHECKING:
    from genzoo.zoo import Zoo

STEPS = 3


def _labels(model: Any) -> Tensor:
    return torch.tensor([3, 0, 9, 3]) % model.num_classes


def conditioning_keeps_the_capabilities(case: ModelCase) -> None:
    """``given(labels)`` offers what the model offers, and its shape."""
    model = case.shaken()
    expect(supports(model, (Conditional,)), "with conditional=true it has no num_classes, or no given(labels)")
    view = model.given(_labels(model))
    lost = set(offers(model)) - set(offers(view)) - {"Conditional"}
    expect(not lost, f"given(labels) has lost {', '.join(sorted(lost))}")
    expect(tuple(view.shape) == case.shape, f"the shape of given(labels) is {view.shape}")


def labels_change_what_it_computes(case: ModelCase) -> None:
    """Once shaken, four rows given class 0 and given class 1 differ by some method."""
    model = case.shaken()
    _expect_labels_to_matter(model, case.examples(4), "no method returns anything else for another class")


def _expect_labels_to_matter(model: Any, x: Tensor, reason: str) -> None:
    zero, one = (outputs(model.given(torch.full((len(x),), k)), x) for k in (0, 1))
    expect(any(not torch.equal(zero[method], one[method]) for method in zero), reason)


def no_class_is_no_label(case: ModelCase) -> None:
    """The label num_classes gives what no labels give, bit for bit."""
    model, x = case.shaken(), case.examples(4)
    none = outputs(model.given(torch.full((4,), model.num_classes)), x)
    for method, value in outputs(model, x).items():
        expect(torch.equal(value, none[method]), f"{method} differs between the label num_classes and no label")


def rows_keep_to_their_labels(case: ModelCase) -> None:
    """A row of a batch of four classes gives what it gives alone, given its own class, within 1e-3."""
    model, x = case.shaken(), case.examples(4)
    labels = _labels(model)
    for method, arguments in calls(model.given(labels), x).items():
        together = getattr(model.given(labels), method)(*arguments)
        rows = (getattr(model.given(labels[i : i + 1]), method)(*(a[i : i + 1] for a in arguments)) for i in range(4))
        expect_close(torch.cat(list(rows)), together, 1e-3, f"{method}: rows alone against rows in a batch")


def wrong_labels_are_refused(case: ModelCase) -> None:
    """Labels below 0 or above num_classes, and three labels for four rows, raise something."""
    model, x = case.shaken(), case.examples(4)
    wrong = {"-1": [-1] * 4, "num_classes + 1": [model.num_classes + 1] * 4, "three for four rows": [0] * 3}
    for name, labels in wrong.items():
        expect(_raises(partial(_ask, model, torch.tensor(labels), x)), f"labels {name} are taken")


def _ask(model: Any, labels: Tensor, x: Tensor) -> None:
    outputs(model.given(labels), x)


def _raises(call: Callable[[], None]) -> bool:
    try:
        call()
    except Exception:
        return True
    return False


def training_teaches_it_labels(case: ModelCase) -> None:
    """Three steps of its trainer, and the same with every label moved on by one, do not leave the same model.

    Nor does class 0 compute what class 1 does: the trainer passes labels on, and the model makes something of them.
    """
    (trainer, model), (_, other) = (_trained(case, moved_on) for moved_on in (0, 1))
    with torch.no_grad():
        reason = f"after {STEPS} steps of {trainer} no method returns anything else for another class"
        _expect_labels_to_matter(model.eval(), case.examples(4), reason)
    same = all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    expect(not same, f"{STEPS} steps of {trainer} leave the same model whatever the labels: pass them on (labelled)")


def _trained(case: ModelCase, moved_on: int) -> tuple[str, Any]:
    """The trainer's name, and the model after a few of its steps with labels moved on; chance is the same for all."""
    seed_everything(0)
    trainer = build(case.zoo, case.name, case.shape, conditional=case.conditional).trainer
    training = started(case.zoo, trainer, case.name, case.shape, conditional=case.conditional)
    training.batches = training.batches.moved_on(moved_on)
    for _ in range(STEPS):
        expect(all(loss.isfinite() for loss in training.step().values()), "a loss with labels is not finite")
    return trainer, training.model


def draws_given_labels(case: ModelCase) -> None:
    """The first states that its sampler draws from the model given four labels have their shape and are finite."""
    model = case.shaken()
    if not model.sampler:
        return
    with torch.no_grad():
        steps = case.zoo.sampler(model.sampler).steps(model.given(_labels(model)), 4, torch.Generator().manual_seed(0))
        states = list(itertools.islice(steps, STEPS))
    for state in states:
        expect(tuple(state.shape) == (4, *case.shape), f"a state given 4 labels is {tuple(state.shape)}")
        expect(state.isfinite().all(), "a state given labels is not finite")


_TESTS = (
    conditioning_keeps_the_capabilities,
    labels_change_what_it_computes,
    no_class_is_no_label,
    rows_keep_to_their_labels,
    wrong_labels_are_refused,
    training_teaches_it_labels,
    draws_given_labels,
)


def conditional_checks(zoo: "Zoo", name: str, shapes: list[tuple[int, ...]]) -> list[Check]:
    """For a model that is conditional by default, or has the option ``conditional``."""
    option = has_condition(zoo, name)
    judged = [shape for shape in shapes if option or supports(build(zoo, name, shape), (Conditional,))]
    return [
        Check(f"{name}/model/{test.__name__}[{label(shape)}]", partial(test, ModelCase(zoo, name, shape, option)))
        for shape in judged
        for test in _TESTS
    ]
