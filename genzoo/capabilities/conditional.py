"""A model of p(x | label): its labels given, and dropped."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genzoo.capabilities.conversions import offers
from genzoo.capabilities.kinds import CAPABILITIES, Conditional


class Given:
    """A conditional model with one label a row: every method of its capabilities is called with ``labels=``.

    It has the capabilities of the model but for ``Conditional``, so that trainers, samplers and metrics never hear of
    labels. Everything else is the model's own.
    """

    def __init__(self, model: Any, labels: Tensor) -> None:
        self._model, self.labels = model, labels
        for capability in (c for c in CAPABILITIES if c.__name__ in offers(model) and c is not Conditional):
            for name in vars(capability):
                if not name.startswith("_") and callable(method := getattr(model, name)):
                    setattr(self, name, self._with_labels(method))

    def __getattr__(self, name: str) -> Any:
        if name in ("given", "num_classes"):
            raise AttributeError(f"the labels of {self!r} are given already")
        return getattr(self.__dict__["_model"], name)

    def _with_labels(self, method: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x, *args, **named: method(x, *args, labels=self.labels, **named)


def labelled(model: Any, labels: Tensor | None, dropout: float = 0.0) -> Any:
    """The model given the labels of its batch [n], if it is conditional, else the model itself.

    Each label is dropped with probability ``dropout``, which teaches the model p(x) too: see
    :class:`genzoo.nets.ClassEmbedding`. Reference: Classifier-Free Diffusion Guidance (Ho and Salimans, 2022).
    """
    if labels is None or Conditional.__name__ not in offers(model):
        return model
    dropped = torch.rand(labels.shape, device=labels.device) < dropout
    return model.given(torch.where(dropped, model.num_classes, labels))
