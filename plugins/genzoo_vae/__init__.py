"""Variational autoencoders: a decoder learned together with the posterior that explains the data through it."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {"vae": "genzoo_vae.model:VAE", "vdvae": "genzoo_vae.hierarchy:VDVAE"}


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"elbo": "genzoo_vae.trainer:ELBO", "iwae": "genzoo_vae.trainer:IWAE"}


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {"decode": "genzoo_vae.samplers:Decode", "ancestral": "genzoo_vae.samplers:Ancestral"}
