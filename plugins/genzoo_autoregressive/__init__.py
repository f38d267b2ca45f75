"""Autoregressive models: one pixel after another, and so an exact likelihood."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {
        "pixelcnn": "genzoo_autoregressive.pixelcnn:pixelcnn",
        "multiscale-pixelcnn": "genzoo_autoregressive.multiscale:multiscale_pixelcnn",
        "pixel-transformer": "genzoo_autoregressive.transformer:pixel_transformer",
    }


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"discrete-likelihood": "genzoo_autoregressive.trainer:DiscreteLikelihood"}


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {"one-by-one": "genzoo_autoregressive.samplers:OneByOne"}
