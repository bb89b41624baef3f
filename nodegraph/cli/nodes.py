"""`nodegraph nodes`: all of them, or everything about one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.catalog import all_specs, find_spec
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import StyledText, counted, print_json, print_table, say, tell
from nodegraph.cli.problems import print_warnings
from nodegraph.core.literals import describe, show
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.packs.registry import Registry

_LANES = {"gpu": "computes on the device", "cpu": "runs on the CPU", "io": "waits for files"}
_INTERNAL = {"module", "qualname", "hooks"}
"""Where the code lies is no business of those who use a node."""


def print_card(spec: NodeSpec) -> None:
    """Print what a node type takes and gives."""
    title = f"{spec.label}, " if spec.label and spec.label != spec.type else ""
    say((spec.type, "bold"), f"  {title}{spec.category or 'without a category'}")
    for line in _about(spec):
        say(line)
    _print_ports("Inputs", (_input_row(port) for port in spec.inputs))
    _print_ports("Outputs", (_output_row(port) for port in spec.outputs))
    say()
    print_table([(label, value) for label, value in _facts(spec) if value])


def _about(spec: NodeSpec) -> list[str]:
    """The docstring without the sections that the ports tell of."""
    text = spec.help.split("\n\nArgs:")[0].split("\n\nReturns:")[0].split("\n\nRaises:")[0]
    return ["", *text.splitlines()] if text else []


def _print_ports(title: str, rows: Iterable[tuple[StyledText, ...]]) -> None:
    found = list(rows)
    if found:
        say()
        say((title, "bold"))
        print_table(found, indent=2)


def _input_row(port: InputSpec) -> tuple[StyledText, ...]:
    return port.name, (port.type, "cyan"), _given(port), _details(port)


def _given(port: InputSpec) -> str:
    if port.required:
        return "required"
    if port.default is None:
        return "optional"
    return f"default {show(port.default)}"


def _details(port: InputSpec) -> str:
    notes = [port.help, _range(port)]
    if port.nullable and not port.required and port.default is not None:
        notes.append("May be null.")
    if port.lazy:
        notes.append("Evaluated only if it is needed.")
    if port.advanced:
        notes.append("(advanced)")
    return " ".join(note for note in notes if note)


def _range(port: InputSpec) -> str:
    """What a literal may be, where the type alone doesn't say it."""
    schema = port.json_schema or {}
    if port.widget == "seed":
        return ""
    if not schema.keys() & {"enum", "minimum", "maximum", "multipleOf"}:
        return ""
    words = describe(schema)
    return f"{words[0].upper()}{words[1:]}."


def _output_row(port: OutputSpec) -> tuple[StyledText, ...]:
    return port.name, (port.type, "cyan"), port.help


def _facts(spec: NodeSpec) -> Iterable[tuple[str, str]]:
    yield "lane", f"{spec.lane}: {_LANES[spec.lane]}"
    yield "version", str(spec.version)
    yield "pack", spec.pack or "built in"
    yield "tags", ", ".join(spec.tags)
    yield "result", _result(spec)
    yield "deprecated", spec.deprecated
    yield "experimental", "may still change" if spec.experimental else ""


def _result(spec: NodeSpec) -> str:
    if spec.output:
        return "a sink: always run"
    return "kept in the cache" if spec.deterministic else "differs from run to run, never cached"


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
