"""Finding plugins: what is installed under the entry points of group ``genzoo``, and what its hooks offer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from genzoo.errors import PluginError
from genzoo.hookspecs import Factory

ROLES = ("model", "trainer", "sampler", "extractor", "metric")
HOOKS = {role: f"genzoo_{role}s" for role in ROLES}

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_IMPORTABLE = re.compile(r"[^\s:]+:[^\s:]+")


@dataclass(frozen=True)
class PluginInfo:
    """A plugin as ``genzoo list plugins`` shows it; ``status`` is ``ok``, ``disabled`` or ``broken: <reason>``."""

    name: str
    version: str = ""
    distribution: str = ""
    description: str = ""
    status: str = "ok"

    def __str__(self) -> str:
        origin = f" of {self.distribution} {self.version}" if self.distribution else ""
        return f"plugin {self.name!r}{origin}"


def installed() -> list[tuple[PluginInfo, EntryPoint]]:
    """The built-in plugins first, then the others by the name of their distribution, whatever ``sys.path`` says."""
    found = [(_info(point), point) for point in entry_points(group="genzoo")]
    return sorted(found, key=lambda pair: _precedence(pair[0]))


def _info(point: EntryPoint) -> PluginInfo:
    return PluginInfo(point.name, point.dist.version, point.dist.name) if point.dist else PluginInfo(point.name)


def _precedence(info: PluginInfo) -> tuple[bool, str, str]:
    return info.distribution != "genzoo", info.distribution, info.name


def import_plugin(point: EntryPoint) -> object:
    """The module or object that the entry point names; raises PluginError, whatever the import raised."""
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(told(error)) from error


def call_hook(role: str, hook: Callable[[], Any]) -> Mapping[str, Factory]:
    """What the hook returns, once it is known to be names and factories; else raises PluginError."""
    try:
        offered = hook()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{HOOKS[role]} raised {told(error)}") from error
    if not isinstance(offered, Mapping):
        raise PluginError(f"{HOOKS[role]} returned a {type(offered).__name__}, not a mapping of names to factories")
    for name, factory in offered.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"{role} name {name!r} is not kebab-case (allowed: a-z, 0-9 and single hyphens)")
        if not callable(factory) and not (isinstance(factory, str) and _IMPORTABLE.fullmatch(factory)):
            raise PluginError(f"{role} {name!r} is {factory!r}, neither a callable nor 'module:attribute'")
    return offered


def told(error: BaseException) -> str:
    """An error's type and message in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split())
