"""`nodegraph schema`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nodegraph.cli.catalog import find_spec
from nodegraph.cli.options import Common
from nodegraph.cli.output import print_json


def schema(
    common: Common,
    node: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only of the inputs of this node type."),
    ] = None,
) -> int:
    """Print the JSON Schema of the workflow file.

    With it, an editor completes and checks workflows: save it and name it in the file's `$schema`
    key, or in the editor's settings.
    """
    from nodegraph.core.json_schema import workflow_json_schema

    registry = common.session().registry
    document = workflow_json_schema(registry)
    if node is not None:
        spec = find_spec(registry, node)
        document = _of_inputs(document, f"inputs of {spec.type}", spec.type)
    print_json(document)
    return 0


def _of_inputs(document: dict[str, Any], name: str, title: str) -> dict[str, Any]:
    """One definition of the schema, as a schema of its own."""
    definitions = document["$defs"]
    return {
        "$schema": document["$schema"],
        "title": title,
        **definitions[name],
        "$defs": {"link": definitions["link"]},
    }
