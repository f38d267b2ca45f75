"""Normalizing flows: an invertible map to a standard normal, and so an exact likelihood."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {
        "realnvp": "genzoo_flow.realnvp:RealNVP",
        "glow": "genzoo_flow.glow:Glow",
        "spline-flow": "genzoo_flow.spline:SplineFlow",
    }


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"maximum-likelihood": "genzoo_flow.trainer:MaximumLikelihood"}
