"""Energy-based models: an unnormalised density, sampled by a walk along its gradient."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {"ebm": "genzoo_ebm.model:EBM"}


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"contrastive-divergence": "genzoo_ebm.contrastive:ContrastiveDivergence"}


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {"langevin": "genzoo_ebm.samplers:Langevin"}
