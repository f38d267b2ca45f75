"""The zoo: finds plugins, collects their factories by name, builds objects from validated options.

Plugins come through the entry points of group ``genzoo``, the built-in ones first and the others by the name of
their distribution, so that who comes first does not depend on the order of ``sys.path``. A plugin that cannot be
used is told as ``broken: <reason>`` among :attr:`Zoo.plugins` and none of its names is taken up; the others work. A
name belongs to the plugin that came first: a second plugin that offers it is broken, as is one with a taken plugin
name. ``GENZOO_DISABLE=a,b`` leaves plugins out. What GenZoo itself brings is in every zoo, and came first.
"""

import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from inspect import Parameter
from types import MappingProxyType
from typing import Any, NamedTuple

import pluggy

import genzoo
from genzoo import hookspecs
from genzoo.builtin import BUILT_IN
from genzoo.errors import GenZooError, InvalidOption, PluginError, UnknownName
from genzoo.hookspecs import Factory
from genzoo.options import Option, capabilities, declared, describe, resolve, suggest
from genzoo.plugins import HOOKS, ROLES, PluginInfo, call_hook, import_plugin, installed, one_line, told

_Values = Mapping[str, Any]
_NOTHING: _Values = MappingProxyType({})


class _Entry(NamedTuple):
    owner: PluginInfo
    factory: Factory


class Zoo:
    """The factories of the registered plugins; a ``role`` is one of :data:`ROLES`."""

    def __init__(self) -> None:
        own = PluginInfo("genzoo", genzoo.__version__, "genzoo", "What GenZoo itself brings.")
        self.plugins = [own]
        self._entries: dict[str, dict[str, _Entry]] = {
            role: {name: _Entry(own, factory) for name, factory in BUILT_IN.get(role, {}).items()} for role in ROLES
        }
        self._manager = pluggy.PluginManager("genzoo")
        self._manager.add_hookspecs(hookspecs)

    @classmethod
    def load(cls) -> "Zoo":
        """The zoo of the installed plugins. Never fails: see :attr:`plugins` for what is broken and why."""
        zoo = cls()
        disabled = {name.strip() for name in os.environ.get("GENZOO_DISABLE", "").split(",")}
        for info, point in installed():
            if info.name in disabled:
                zoo.plugins.append(replace(info, status="disabled"))
            else:
                zoo._try(point, info)
        return zoo

    def _try(self, point: EntryPoint, info: PluginInfo) -> None:
        try:
            self._register(import_plugin(point), info)
        except PluginError as error:
            self.plugins.append(replace(info, status=f"broken: {error}"))

    def register(self, plugin: object, name: str) -> None:
        """Add a plugin, a module or any object with hooks, that is not installed.

        Raises:
            PluginError: it cannot be used; nothing of it is registered.
        """
        self._register(plugin, PluginInfo(name))

    def _register(self, plugin: object, info: PluginInfo) -> None:
        self._refuse_registered(plugin, info)
        info = replace(info, description=(getattr(plugin, "__doc__", None) or "").strip().partition("\n")[0])
        try:
            self._manager.register(plugin, info.name)
            factories = self._collect(plugin)
            self._refuse_taken(factories, info)
        except Exception as error:
            if self._manager.has_plugin(info.name):
                self._manager.unregister(name=info.name)
            raise PluginError(one_line(error)) from error
        for (role, name), factory in factories.items():
            self._entries[role][name] = _Entry(info, factory)
        self.plugins.append(info)

    def _refuse_registered(self, plugin: object, claimant: PluginInfo) -> None:
        for other in self.plugins:
            if other.name == claimant.name and other.status == "ok":
                raise PluginError(f"the plugin name {other.name!r} belongs to {other}, {claimant} claims it too")
        if self._manager.is_registered(plugin):
            raise PluginError(f"the same object is already plugin {self._manager.get_name(plugin)!r}")

    def _collect(self, plugin: object) -> dict[tuple[str, str], Factory]:
        """The plugin's factories by role and name; its hooks are called one by one, so that it alone can fail."""
        callers = {caller.name: caller for caller in self._manager.get_hookcallers(plugin) or ()}
        if not callers:
            raise PluginError(f"no hook found: is @hookimpl missing on {', '.join(HOOKS.values())}?")
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            unknown = next(name for name, caller in callers.items() if not caller.has_spec())
            raise PluginError(f"unknown hook {unknown!r}{suggest(unknown, HOOKS.values())}") from error
        hooks = {
            role: next(impl.function for impl in callers[hook].get_hookimpls() if impl.plugin is plugin)
            for role, hook in HOOKS.items()
            if hook in callers
        }
        return {(role, name): f for role, hook in hooks.items() for name, f in call_hook(role, hook).items()}

    def _refuse_taken(self, names: Iterable[tuple[str, str]], claimant: PluginInfo) -> None:
        for role, name in names:
            for known, entry in self._entries[role].items():
                if known.replace("_", "-") == name:  # fd-debiased beside fd_debiased would be taken for it
                    raise PluginError(f"{role} {known!r} belongs to {entry.owner}, {claimant} claims it too")

    def names(self, role: str) -> list[str]:
        """The registered names, sorted."""
        return sorted(self._entries[role])

    def owner(self, role: str, name: str) -> PluginInfo:
        """The plugin that registered the name. Raises UnknownName."""
        return self._entry(role, name).owner

    def factory(self, role: str, name: str) -> Callable[..., Any]:
        """The factory, imported now if the plugin named it ``"module:attribute"``.

        Raises:
            UnknownName: nobody registered the name.
            PluginError: the import failed, or what was imported cannot be called.
        """
        owner, factory = self._entry(role, name)
        if not isinstance(factory, str):
            return factory
        try:
            imported = pkgutil.resolve_name(factory)
        except Exception as error:
            raise PluginError(f"{role} {name!r} of {owner}: cannot import {factory!r}: {told(error)}") from error
        if not callable(imported):
            raise PluginError(f"{role} {name!r} of {owner}: {factory!r} is a {type(imported).__name__}, not a callable")
        return imported

    def options(self, role: str, name: str) -> list[Option]:
        """The factory's options in order. Raises UnknownName or PluginError."""
        return describe(self._declared(role, name))

    def references(self, role: str, name: str) -> dict[str, tuple[type, ...]]:
        """The options that take a trained model, with the capabilities of which it needs one."""
        found = {key: capabilities(parameter.annotation) for key, parameter in self._declared(role, name).items()}
        return {key: kinds for key, kinds in found.items() if kinds}

    def validate(self, role: str, name: str, options: _Values, facts: _Values = _NOTHING) -> dict[str, Any]:
        """Every option's value: the given one, else that of ``facts`` (``levels``, ``num_classes``), else the default.

        Raises:
            InvalidOption: an option the factory does not have, or a value of another type.
            UnknownName, PluginError: as :meth:`factory`.
        """
        parameters = self._declared(role, name)
        known = {key: value for key, value in facts.items() if key in parameters}
        return resolve(parameters, {**known, **options}, f"{role} {name!r}")

    def model(self, name: str, shape: tuple[int, ...], options: _Values = _NOTHING, facts: _Values = _NOTHING) -> Any:
        """A :class:`~genzoo.protocols.Model` of ``shape``.

        Raises:
            InvalidOption: as :meth:`validate`, or the factory refused a value.
            UnknownName, PluginError: as :meth:`factory`, or what was built is no model.
        """
        return self._build("model", name, (shape,), self.validate("model", name, options, facts))

    def trainer(self, name: str, options: _Values = _NOTHING, facts: _Values = _NOTHING) -> Any:
        """A :class:`~genzoo.protocols.Trainer`. Raises as :meth:`model`."""
        return self._build("trainer", name, (), self.validate("trainer", name, options, facts))

    def sampler(self, name: str, options: _Values = _NOTHING) -> Any:
        """A :class:`~genzoo.protocols.Sampler`. Raises as :meth:`model`."""
        return self._build("sampler", name, (), self.validate("sampler", name, options))

    def extractor(self, name: str, options: _Values = _NOTHING) -> Any:
        """A :class:`~genzoo.protocols.Extractor`. Raises as :meth:`model`."""
        return self._build("extractor", name, (), self.validate("extractor", name, options))

    def metric(self, name: str, options: _Values = _NOTHING) -> Any:
        """A :class:`~genzoo.protocols.Metric`. Raises as :meth:`model`."""
        return self._build("metric", name, (), self.validate("metric", name, options))

    def _entry(self, role: str, name: str) -> _Entry:
        if name not in self._entries[role]:
            broken = [plugin.name for plugin in self.plugins if plugin.status.startswith("broken")]
            others = f"; broken: {', '.join(broken)}, see 'genzoo list plugins'" if broken else ""
            raise UnknownName(role, name, self._entries[role], f"'genzoo list {role}s' shows them{others}")
        return self._entries[role][name]

    def _declared(self, role: str, name: str) -> dict[str, Parameter]:
        factory = self.factory(role, name)
        try:
            return declared(factory, skip=1 if role == "model" else 0)
        except (NameError, ValueError, TypeError) as error:
            raise PluginError(f"{role} {name!r} of {self.owner(role, name)}: its signature: {told(error)}") from error

    def _build(self, role: str, name: str, positional: tuple[Any, ...], options: _Values) -> Any:
        from genzoo import protocols

        try:
            built = self.factory(role, name)(*positional, **options)
        except GenZooError:
            raise
        except (ValueError, TypeError) as error:
            raise InvalidOption(f"{role} {name!r}: {one_line(error)}") from error
        except Exception as error:
            raise PluginError(f"{role} {name!r} of {self.owner(role, name)}: {told(error)}") from error
        contract = getattr(protocols, role.capitalize())
        if not isinstance(built, contract):
            raise PluginError(
                f"{role} {name!r} of {self.owner(role, name)}: a {type(built).__name__} lacks what "
                f"genzoo.protocols.{contract.__name__} asks for"
            )
        return built
