"""References: what any model has to beat, and what it must not be."""

from genzoo.hookspecs import Factory, hookimpl


@hookimpl
def genzoo_models() -> dict[str, Factory]:
    return {
        "gaussian": "genzoo_reference.gaussian:Gaussian",
        "mppca": "genzoo_reference.mppca:MPPCA",
        "kde": "genzoo_reference.memory:KDE",
        "copycat": "genzoo_reference.memory:Copycat",
    }


@hookimpl
def genzoo_trainers() -> dict[str, Factory]:
    return {"closed-form": "genzoo_reference.trainer:ClosedForm"}
