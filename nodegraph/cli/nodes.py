"""`nodegraph nodes`, `schema` and `stubs`: descriptions of node types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    StyledText,
    echo,
    echo_stderr,
    format_path,
    pluralize,
    print_json,
    print_table,
    print_warnings,
)
from nodegraph.core.catalog import Catalog
from nodegraph.core.literals import describe, format_value
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.suggestions import NodeAliases
from nodegraph.errors import InvalidValue
from nodegraph.packs.manifest import is_in_category, search_types
from nodegraph.session.examples import examples

if TYPE_CHECKING:
    from nodegraph.packs.manifest import ListedType
    from nodegraph.packs.registry import Registry


def stubs(
    common: CommonOptions,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FOLDER", help="Write them into this folder.")
    ] = "typings",
) -> int:
    """Write type stubs of the available node types, for editors and type checkers.

    nodegraph ships the stubs of the built-in node types. These add those of packs, so that
    editors complete and check graphs in Python scripts. Pyright, and editors that use it,
    read the folder typings by default; mypy needs mypy_path = "typings".
    """
    from nodegraph.python.builder.stubs import FunctionStub, Stub, write_stubs

    registry = common.session().registry
    by_pack: dict[str, list[str]] = {}
    for node_type in registry.node_types():
        pack, colon, _ = node_type.rpartition(":")
        by_pack.setdefault(pack if colon else "", []).append(node_type)
    specs = {
        pack: [spec for name in names if (spec := registry.spec(name))]
        for pack, names in by_pack.items()
    }
    built_in = specs.pop("", [])
    texts = {
        "builtin": Stub(registry.types, built_in, specs).text(),
        "builtin_functions": FunctionStub(registry.types, built_in, specs).text(),
    }
    written = write_stubs(Path(out).expanduser(), texts)
    count = len(built_in) + sum(map(len, specs.values()))
    echo(f"wrote {pluralize(count, 'node type')} to {format_path(written)}")
    return 0


def schema(
    common: CommonOptions,
    node: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only the inputs of this node type."),
    ] = None,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="The schema of the manifests of results instead.")
    ] = False,
) -> int:
    """Print the JSON Schema of the workflow file.

    With it, an editor completes and checks workflows: save it and name it in the file's `$schema`
    key, or in the editor's settings.
    """
    from nodegraph.core.json_schema import (
        inputs_json_schema,
        manifest_json_schema,
        workflow_json_schema,
    )

    if manifest:
        if node is not None:
            raise InvalidValue("--node and --manifest cannot be combined", hint="Remove one.")
        print_json(manifest_json_schema())
        return 0
    registry = common.session().registry
    if node is None:
        print_json(workflow_json_schema(registry))
    else:
        print_json(inputs_json_schema(find_spec(registry, node)))
    return 0


def find_spec(registry: Registry, name: str) -> NodeSpec:
    """The spec of a node type; upper and lower case need not be right.

    If there is none, the problems of packs are printed first: they may be why.

    Raises:
        InvalidValue: There is none of that name.
    """
    spec = registry.spec(name) or _ignoring_case(registry, name)
    if spec is None:
        print_warnings(registry.problems)
        raise InvalidValue(f"there is no node type `{name}`", hint=NodeAliases(registry).hint(name))
    return spec


def _ignoring_case(catalog: Catalog, name: str) -> NodeSpec | None:
    matches = [other for other in catalog.node_types() if other.casefold() == name.casefold()]
    return catalog.spec(matches[0]) if len(matches) == 1 else None


_LANES = {"gpu": "runs on the device", "cpu": "runs on the CPU", "io": "waits for files"}
_INTERNAL = {"module", "qualname", "hooks"}
"""Where the code lies is no business of those who use a node."""


def print_card(spec: NodeSpec, *, has_example: bool = False) -> None:
    """Print what a node type takes and gives.

    Args:
        has_example: Whether there is a workflow that shows what it does.
    """
    title = f"{spec.label}, " if spec.label and spec.label != spec.type else ""
    echo((spec.type, "bold"), f"  {title}{spec.category or 'without a category'}")
    for line in _description(spec):
        echo(line)
    _print_ports("Inputs", (_input_row(port) for port in spec.inputs))
    _print_ports("Outputs", (_output_row(port) for port in spec.outputs))
    echo()
    facts = [(label, value) for label, value in _facts(spec) if value]
    if has_example:
        facts.append(("example", f"nodegraph new --example {spec.type}"))
    print_table(facts)


def _description(spec: NodeSpec) -> list[str]:
    """The docstring without the sections that the ports tell of."""
    text = spec.help.split("\n\nArgs:")[0].split("\n\nReturns:")[0].split("\n\nRaises:")[0]
    return ["", *text.splitlines()] if text else []


def _print_ports(title: str, rows: Iterable[tuple[StyledText, ...]]) -> None:
    table = list(rows)
    if table:
        echo()
        echo((title, "bold"))
        print_table(table, indent=2)


def _input_row(port: InputSpec) -> tuple[StyledText, ...]:
    return port.name, (port.type, "cyan"), _default_text(port), _details(port)


def _default_text(port: InputSpec) -> str:
    if port.required:
        return "required"
    if port.default is None:
        return "optional"
    return f"default {format_value(port.default)}"


def _details(port: InputSpec) -> str:
    notes = [port.help, _range(port)]
    if port.nullable and not port.required and port.default is not None:
        notes.append("Can be null.")
    if port.lazy:
        notes.append("Evaluated only if it is needed.")
    if port.raw_link:
        notes.append("Receives the link.")
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
    yield "experimental", "can still change" if spec.experimental else ""


def _result(spec: NodeSpec) -> str:
    if spec.output:
        return "a sink: always runs"
    return "kept in the cache" if spec.deterministic else "differs from run to run, never cached"


def nodes(
    common: CommonOptions,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this node type in full.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(metavar="TEXT", help="List this category and those below it.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="List node types whose name, summary or tags have each word."
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="List every node type of generated packs."),
    ] = False,
    json: JsonOption = False,
) -> int:
    """List the node types, or show one of them.

    Types of packs (in the packs folder, installed, or by --pack) are listed as `pack:Name`.
    Packs that are made from another package, such as all pipelines of diffusers, are shown
    by category; --category, --search and --all list their types.
    """
    registry = common.session().registry
    if name is not None:
        spec = find_spec(registry, name)
        if json:
            print_json(_document(spec))
        else:
            print_card(spec, has_example=spec.type in examples(registry.packs))
        return 0
    selected = _selected(registry, category, search)
    if json:
        specs = (registry.spec(row.type) for row in selected)
        listed = [_document(spec) for spec in specs if spec is not None]
        print_json({"nodes": listed, "pack_problems": registry.problems})
    else:
        print_warnings(registry.problems)
        is_whole = everything or category is not None or search is not None
        _print(selected, () if is_whole else _generated_packs(registry))
    return 0


def _generated_packs(registry: Registry) -> Collection[str]:
    """Packs that bring so many node types that others would drown among them."""
    return [pack.name for pack in registry.packs if pack.is_generated]


def _document(spec: NodeSpec) -> dict[str, Any]:
    return {name: value for name, value in asdict(spec).items() if name not in _INTERNAL}


def _selected(registry: Registry, category: str | None, search: str | None) -> list[ListedType]:
    """Node types by category and name."""
    rows = sorted(registry.listing(), key=lambda row: (row.category, row.type))
    if category is not None:
        known = {row.category for row in rows}
        rows = [row for row in rows if is_in_category(row, category)]
        if not rows:
            raise InvalidValue(
                f"there is no category `{category}`", hint=did_you_mean(category, known)
            )
    if search is not None:
        return _most_used_first(
            search_types(rows, search, registry.other_names), registry.usage.types
        )
    return rows


def _most_used_first(rows: Sequence[ListedType], uses: Mapping[str, int]) -> list[ListedType]:
    """Node types of a category together, the category with the most used one first."""
    most: dict[str, int] = {}
    for row in rows:
        most[row.category] = max(most.get(row.category, 0), uses.get(row.type, 0))
    return sorted(
        rows, key=lambda row: (-most[row.category], row.category, -uses.get(row.type, 0), row.type)
    )


def _print(rows: Sequence[ListedType], folded: Collection[str]) -> None:
    """Print a line for each node type; of some packs one for each category."""
    width = max((len(row.type) for row in rows if row.pack not in folded), default=0)
    for category, members in groupby(rows, key=lambda row: row.category):
        echo((category or "without a category", "bold"))
        each = list(members)
        shown = [row for row in each if row.pack not in folded]
        print_table([(row.type.ljust(width), _summary(row)) for row in shown], indent=2)
        for pack, number in Counter(row.pack for row in each if row.pack in folded).items():
            echo(f"  {pluralize(number, 'node type')} of the pack `{pack}`")
        echo()
    is_folded = any(row.pack in folded for row in rows)
    more = " --category, --search and --all show more." if is_folded else ""
    echo_stderr(
        f"{pluralize(len(rows), 'node type')}. `nodegraph nodes NAME` shows more about one.{more}"
    )


def _summary(row: ListedType) -> str:
    if row.deprecated:
        return f"Deprecated: {row.deprecated}"
    return f"{row.summary} (experimental)" if row.experimental else row.summary
