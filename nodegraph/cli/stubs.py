"""`nodegraph stubs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import echo, format_path, pluralize


def stubs(
    common: CommonOptions,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FOLDER", help="Write them into this folder.")
    ] = "typings",
) -> int:
    """Write stubs of the node types that are there, for editors and type checkers.

    nodegraph brings those of the built-in node types. These have packs' as well, so that graphs in
    Python scripts are completed and checked with them, too. Pyright, and editors that use it, look
    into the folder typings by themselves; mypy is told of it: mypy_path = "typings".
    """
    from nodegraph.python.builder.function_stubs import FunctionStub
    from nodegraph.python.builder.stubs import Stub, write_stubs

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
