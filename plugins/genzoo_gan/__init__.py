"""Generative adversarial networks: a generator that learns from a critic which learns to tell it from the data."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {"dcgan": "genzoo_gan.dcgan:DCGAN", "sngan": "genzoo_gan.sngan:SNGAN"}


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"adversarial": "genzoo_gan.trainer:Adversarial"}
