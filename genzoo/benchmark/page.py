"""The templates of the pages."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Templates that escape whatever they are given, and fail where they are given too little."""
    return Environment(
        loader=PackageLoader("genzoo.benchmark"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
