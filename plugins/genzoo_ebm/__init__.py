"""Energy-based models: an unnormalised density, sampled by a walk along its gradient."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {"ebm": "genzoo_ebm.model:EBM", "energy-matching": "genzoo_ebm.model:Potential"}


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {
        "contrastive-divergence": "genzoo_ebm.contrastive:ContrastiveDivergence",
        "noise-contrastive": "genzoo_ebm.noise_contrastive:NoiseContrastive",
        "energy-score-matching": "genzoo_ebm.score_matching:EnergyScoreMatching",
        "energy-matching": "genzoo_ebm.energy_matching:EnergyMatching",
    }


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {"langevin": "genzoo_ebm.samplers:Langevin"}
