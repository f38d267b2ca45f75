"""A plugin-based zoo of generative models: one training loop, one benchmark harness.

>>> import genzoo
>>> run = genzoo.train("ddpm", data="digits", budget="60s", seed=0)  # doctest: +SKIP
>>> images = run.sample(64)  # doctest: +SKIP
>>> print(run.evaluate())  # doctest: +SKIP
>>> table = genzoo.bench("quickstart")  # doctest: +SKIP

Everything here is imported when it is first used: ``import genzoo`` alone imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genzoo.assessment import evaluate
    from genzoo.benchmark import bench
    from genzoo.data import load as load_data
    from genzoo.run import Run, train
    from genzoo.zoo import Zoo

    __version__: str

__all__ = ["Run", "Zoo", "__version__", "bench", "evaluate", "load_data", "train"]

_HOMES = {
    "Run": ("genzoo.run", "Run"),
    "Zoo": ("genzoo.zoo", "Zoo"),
    "bench": ("genzoo.benchmark", "bench"),
    "evaluate": ("genzoo.assessment", "evaluate"),
    "load_data": ("genzoo.data", "load"),
    "train": ("genzoo.run", "train"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'genzoo' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("genzoo")
    except PackageNotFoundError:  # a source tree on the path that nobody installed
        return "0+unknown"
