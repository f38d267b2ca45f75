"""The markers and the five hooks of a GenZoo plugin.

Each hook returns a mapping from a kebab-case name to a factory: a callable, or a string ``"module:attribute"`` that is
imported when it is first built (so that ``genzoo list`` imports no torch). A factory's keyword-only parameters, with
their annotations and defaults, are its options: the host validates ``--set`` and YAML against them and ``genzoo info``
prints them. Options named ``levels``, ``num_classes`` or ``num_examples`` (of the training split) are filled in from
the data set unless they are given.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("genzoo")
hookimpl = pluggy.HookimplMarker("genzoo")

Factory = Callable[..., Any] | str


@hookspec
def genzoo_models() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Models by name (after their papers), each called as ``factory(shape, **options)``."""


@hookspec
def genzoo_trainers() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Trainers by name (after their objectives), each called as ``factory(**options)``."""


@hookspec
def genzoo_samplers() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Samplers by name (after their algorithms), each called as ``factory(**options)``."""


@hookspec
def genzoo_extractors() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Feature extractors by name (after their networks), each called as ``factory(**options)``."""


@hookspec
def genzoo_metrics() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Metrics by name, each called as ``factory(**options)`` and giving a :class:`genzoo.protocols.Metric`."""
