"""Autoregressive models: one pixel after another, and so an exact likelihood."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {}
