"""Diffusion models: a net learns to take noise away, and samplers take it away step by step."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {"ddpm": "genzoo_diffusion.model:DDPM"}


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"denoising": "genzoo_diffusion.trainer:Denoising"}


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {
        "ddpm": "genzoo_diffusion.samplers:DDPMSampler",
        "ddim": "genzoo_diffusion.samplers:DDIMSampler",
        "probability-flow": "genzoo_diffusion.samplers:ProbabilityFlow",
        "reverse-sde": "genzoo_diffusion.samplers:ReverseSDE",
    }
