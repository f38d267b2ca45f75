"""Diffusion models: a net learns to take noise away, and samplers take it away step by step."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {
        "ddpm": "genzoo_diffusion.ddpm:ddpm",
        "ncsn": "genzoo_diffusion.ncsn:ncsn",
        "edm": "genzoo_diffusion.edm:edm",
        "flow-matching": "genzoo_diffusion.flow_matching:flow_matching",
        "noisy-classifier": "genzoo_diffusion.classifier:Classifier",
    }


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {
        "denoising": "genzoo_diffusion.denoising:Denoising",
        "denoising-score-matching": "genzoo_diffusion.score_matching:DenoisingScoreMatching",
        "preconditioned-denoising": "genzoo_diffusion.score_matching:PreconditionedDenoising",
        "flow-matching": "genzoo_diffusion.matching:FlowMatchingTrainer",
        "noisy-classification": "genzoo_diffusion.classifier:NoisyClassification",
    }


@hookimpl
def genzoo_samplers() -> dict[str, Factory]:
    return {
        "ddpm": "genzoo_diffusion.ancestral:DDPMSampler",
        "ddim": "genzoo_diffusion.ancestral:DDIMSampler",
        "probability-flow": "genzoo_diffusion.levels:ProbabilityFlow",
        "dpm-solver": "genzoo_diffusion.levels:DPMSolver",
        "reverse-sde": "genzoo_diffusion.levels:ReverseSDE",
        "flow": "genzoo_diffusion.flow:Flow",
    }
