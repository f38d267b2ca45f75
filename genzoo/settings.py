"""``--set KEY=VALUE``: settings read as YAML and given to whoever has an option of that name."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genzoo.errors import InvalidConfig, InvalidOption
from genzoo.options import suggest


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """``KEY=VALUE`` texts as a mapping, each value read as YAML: ``lr=1e-3``, ``channels=[32,64]``, ``name=null``.

    Raises:
        InvalidConfig: no ``=``, or a value that is no YAML.
    """
    return dict(_parse(setting) for setting in settings)


def _parse(setting: str) -> tuple[str, Any]:
    key, text = split(setting)
    try:
        config = OmegaConf.from_dotlist([f"value={text}"])
    except (YAMLError, OmegaConfBaseException) as error:
        raise InvalidConfig(f"--set {setting}: {' '.join(str(error).split())}") from error
    return key, plain(config, f"--set {setting}")["value"]


def plain(config: Any, where: str) -> Any:
    """What an OmegaConf container holds, as it was written: nothing is looked up, least of all the environment.

    Raises:
        InvalidConfig: a value with ``${``, which would be copied into configurations and records once filled in.
    """
    values = OmegaConf.to_container(config, resolve=False)
    for text in _texts(values):
        if "${" in text:
            raise InvalidConfig(f"{where}: {text!r} is not filled in: write the value itself, or use a YAML anchor")
    return values


def _texts(value: Any) -> Iterator[str]:
    """Every text in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def split(setting: str) -> tuple[str, str]:
    """``KEY=VALUE`` as its two halves. Raises InvalidConfig where it is none."""
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise InvalidConfig(f"--set {setting!r} is not KEY=VALUE, such as lr=1e-3")
    return key, value


def assign(settings: Mapping[str, Any], owners: Mapping[str, Collection[str]]) -> dict[str, dict[str, Any]]:
    """Each setting to the owner that has an option of its name; ``owner.key`` says which one.

    Raises:
        InvalidOption: a key that no owner has, or that several have.
    """
    assigned: dict[str, dict[str, Any]] = {owner: {} for owner in owners}
    for key, value in settings.items():
        owner, option = _owner(key, owners)
        assigned[owner][option] = value
    return assigned


def _owner(key: str, owners: Mapping[str, Collection[str]]) -> tuple[str, str]:
    prefix, dot, option = key.partition(".")
    candidates = [prefix] if dot and prefix in owners else list(owners)
    option = option if dot and prefix in owners else key
    having = [owner for owner in candidates if option in owners[owner]]
    if not having:
        allowed = dict.fromkeys(name for owner in candidates for name in owners[owner])
        raise InvalidOption(f"unknown option {key!r}{suggest(option, allowed)}")
    if len(having) > 1:
        raise InvalidOption(f"option {key!r} is ambiguous: say {' or '.join(f'{owner}.{key}=' for owner in having)}")
    return having[0], option
