"""A model of p(x | label): its labels given, and dropped."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities.conversions import supports
from genzoo.capabilities.kinds import Conditional


class Given:
    """A conditional model with one label a row: every method that takes ``labels`` is called with them.

    It has the capabilities of the model but for ``Conditional``, a plugin's own among them, so that trainers, samplers
    and metrics never hear of labels. Everything else is the model's own. The label ``num_classes`` is no class.

    Raises:
        ValueError: labels that are no whole numbers [n] in 0 ... num_classes; later, rows that are not as many.
    """

    def __init__(self, model: Any, labels: Tensor) -> None:
        check_labels(labels, model.num_classes)
        self._model, self.labels = model, labels

    def __getattr__(self, name: str) -> Any:
        if name in ("given", "num_classes"):
            raise AttributeError("the labels are given already")
        member = getattr(self.__dict__["_model"], name)
        if not takes_labels(member):
            return member
        method = functools.wraps(member)(functools.partial(self._call, member))
        setattr(self, name, method)
        return method

    def _call(self, method: Callable[..., Tensor], x: Tensor, *args: Any, **named: Any) -> Tensor:
        if len(x) != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels are given for {len(x)} rows: one a row, in their order")
        return method(x, *args, labels=self.labels, **named)


def check_labels(labels: Tensor, num_classes: int) -> None:
    """Raise :class:`ValueError` unless these are whole numbers [n] in 0 ... num_classes, the last of which is none."""
    if labels.dim() != 1 or labels.is_floating_point() or labels.dtype is torch.bool:
        raise ValueError(f"labels are {labels.dtype} {list(labels.shape)}: give whole numbers, one a row, [n]")
    if len(labels) and not 0 <= (low := int(labels.min())) <= (high := int(labels.max())) <= num_classes:
        raise ValueError(f"label {high if low >= 0 else low} is out of range: there are classes 0 to {num_classes - 1}")


def known_classes(num_classes: int | None, by: str = "conditional=True") -> int:
    """How many classes the data has, of which a factory is told; ``by`` is what needs them, as a user says it.

    Raises:
        ValueError: the data has no labels, or not for every row.
    """
    if num_classes is None:
        raise ValueError(f"{by} needs data with classes, and this has none: take data with labels, or leave it out")
    return num_classes


def takes_labels(member: Any) -> bool:
    """Whether it is a function or method with a parameter ``labels``."""
    if not inspect.isroutine(member) and not isinstance(member, functools.partial):
        return False
    try:
        return "labels" in inspect.signature(member).parameters
    except ValueError:  # of a function in C
        return False


def labelled(model: Any, labels: Tensor | None, dropout: float = 0.0) -> Any:
    """The model given the labels of its batch [n], if it is conditional, else the model itself.

    Each label is dropped with probability ``dropout``, which teaches the model p(x) too: see
    :class:`genzoo.nets.ClassEmbedding`. Reference: Classifier-Free Diffusion Guidance (Ho and Salimans, 2022).
    """
    if labels is None or not supports(model, (Conditional,)):
        return model
    dropped = torch.rand(labels.shape, device=labels.device) < dropout
    return model.given(torch.where(dropped, model.num_classes, labels))
