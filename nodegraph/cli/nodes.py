"""`nodegraph nodes`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.catalog import all_specs, find_spec
from nodegraph.cli.node_card import print_card
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, print_table, say, tell
from nodegraph.cli.problems import print_warnings
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.packs.registry import Registry

_INTERNAL = {"module", "qualname", "hooks"}
"""Where the code lies is no business of those who use a node."""


def nodes(
    common: Common,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show everything about this node type.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar="TEXT", help="List this category and those below it.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="List those whose name, summary or tags have the text."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """List the node types, or show one of them.

    Those of packs in the packs folder, of installed packs and of --pack are listed too, as
    `pack:Name`.
    """
    registry = common.session().registry
    if name is not None:
        spec = find_spec(registry, name)
        if json:
            print_json(_document(spec))
        else:
            print_card(spec)
        return 0
    found = _selected(registry, category, search)
    if json:
        listed = [_document(spec) for spec in found]
        print_json({"nodes": listed, "pack_problems": registry.problems})
    else:
        print_warnings(registry.problems)
        _print(found)
    return 0


def _document(spec: NodeSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude=_INTERNAL)


def _selected(registry: Registry, category: str | None, search: str | None) -> list[NodeSpec]:
    specs = all_specs(registry)
    if category is not None:
        wanted = category.strip("/").casefold()
        known = {spec.category for spec in specs}
        specs = [spec for spec in specs if f"{spec.category.casefold()}/".startswith(f"{wanted}/")]
        if not specs:
            raise InvalidValue(
                f"there is no category `{category}`", hint=did_you_mean(category, known)
            )
    if search is not None:
        specs = [spec for spec in specs if _matches(spec, search.casefold())]
    return specs


def _matches(spec: NodeSpec, text: str) -> bool:
    place = (spec.type, spec.label, spec.category, spec.summary, *spec.tags)
    return any(text in part.casefold() for part in place)


def _print(specs: Sequence[NodeSpec]) -> None:
    width = max((len(spec.type) for spec in specs), default=0)
    for category, members in groupby(specs, key=lambda spec: spec.category):
        say((category or "without a category", "bold"))
        print_table([(spec.type.ljust(width), _summary(spec)) for spec in members], indent=2)
        say()
    tell(f"{counted(len(specs), 'node type')}. `nodegraph nodes NAME` tells more of one.")


def _summary(spec: NodeSpec) -> str:
    if spec.deprecated:
        return f"Deprecated: {spec.deprecated}"
    return f"{spec.summary} (experimental)" if spec.experimental else spec.summary
