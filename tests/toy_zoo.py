"""A zoo of one plugin for tests, a model in form only, and the line with which something is refused."""

from typing import Any, Literal

import pytest

from genzoo.hookspecs import hookimpl
from genzoo.zoo import Zoo


def refusal(error: type[Exception], build: Any) -> str:
    """The one line with which ``build`` is refused."""
    with pytest.raises(error) as caught:
        build()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zoo_of(**factories: Any) -> Zoo:
    """A zoo of one plugin: the factories of a role are given by the role's plural."""

    class Plugin:
        @hookimpl
        def genzoo_models(self) -> Any:
            return factories.get("models", {})

        @hookimpl
        def genzoo_trainers(self) -> Any:
            return factories.get("trainers", {})

        @hookimpl
        def genzoo_samplers(self) -> Any:
            return factories.get("samplers", {})

        @hookimpl
        def genzoo_extractors(self) -> Any:
            return factories.get("extractors", {})

        @hookimpl
        def genzoo_metrics(self) -> Any:
            return factories.get("metrics", {})

    zoo = Zoo()
    zoo.register(Plugin(), "acme")
    return zoo


class Toy:
    """A model in form only."""

    trainer, sampler = "elbo", "decode"

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int = 8,
        kernel: Literal["small", "large"] = "small",
        channels: tuple[int, ...] = (16, 32),
        levels: int | None = None,
    ) -> None:
        if width > 1000:
            raise ValueError("width is at most 1000,\nmore would not fit")
        self.shape, self.width, self.channels, self.levels = shape, width, channels, levels
