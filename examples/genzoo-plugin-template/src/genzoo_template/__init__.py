"""Mixtures of Gaussians: the oldest generative model that learns, as a plugin to copy and change."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {"mixture": "genzoo_template.model:Mixture"}


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"em": "genzoo_template.trainer:EM"}


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {"ancestral-mixture": "genzoo_template.sampler:AncestralMixture"}


@hookimpl
def genzoo_extractors() -> dict[str, Factory]:
    return {"radial-spectrum": "genzoo_template.extractor:RadialSpectrum"}


@hookimpl
def genzoo_metrics() -> dict[str, Factory]:
    return {"sharpness-gap": "genzoo_template.metric:SharpnessGap"}
