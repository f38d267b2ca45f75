"""The commands that look: at what there is to choose from, and whether it is right."""

import json
import os
import shutil
import sys
from typing import Annotated

import typer

from genzoo.cli.options import AsJson
from genzoo.errors import UnknownName
from genzoo.listing import Kind


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="One kind only.")] = None,
    compatible: Annotated[
        bool, typer.Option("--compatible", help="Which trainer and sampler go with a model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What there is to choose from.

    \b
    genzoo list models
    genzoo list --compatible      builds every model once, so it takes a while
    genzoo list plugins --json
    """
    from genzoo import listing
    from genzoo.zoo import Zoo

    zoo = Zoo.load()
    rows = listing.matrix(zoo) if compatible else listing.inventory(zoo, [kind] if kind else list(Kind))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() or "COLUMNS" in os.environ else None
    tables = (listing.table(table, width) for table in rows.values() if table)
    print(json.dumps(rows, indent=2) if as_json else "\n\n".join(tables))


def info(name: str) -> None:
    """Explain a model, trainer, sampler, extractor or metric.

    Prints its docstring, its options with their defaults, and what it offers or needs.

    \b
    genzoo info ddpm
    """
    from genzoo import listing
    from genzoo.zoo import ROLES, Zoo

    zoo = Zoo.load()
    roles = [role for role in ROLES if name in zoo.names(role)]
    if not roles:
        known = {known for role in ROLES for known in zoo.names(role)}
        raise UnknownName("name", name, known, "'genzoo list' shows them")
    print("\n\n".join(listing.description(zoo, role, name) for role in roles))


def check(plugin: Annotated[str, typer.Argument(help="See 'genzoo list plugins'.")]) -> int:
    """Run the conformance checks on a plugin.

    \b
    genzoo check diffusion
    """
    from genzoo import listing, testing

    results = testing.check(plugin)
    rows = [{"check": r.name, "result": "ok" if r.passed else f"failed: {r.reason}"} for r in results]
    failed = sum(not result.passed for result in results)
    print(listing.table(rows), f"{len(results) - failed} passed, {failed} failed", sep="\n\n")
    return 1 if failed else 0


def doctor(as_json: AsJson = False) -> int:
    """Run the known answers on this machine: does every metric move the right way?

    Sample sets whose faults are known, made of built-in images; closed forms; and what is installed. Trains nothing and
    needs no network. Status 1 if anything is wrong.

    \b
    genzoo doctor
    genzoo doctor --json
    """
    from genzoo.doctor import diagnose

    found = diagnose()
    print(json.dumps(found.as_json(), indent=2, ensure_ascii=False) if as_json else found)
    return 0 if found.ok else 1
