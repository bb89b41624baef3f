"""`nodegraph schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from nodegraph.cli.catalog import find_spec
from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import print_json


def schema(
    common: CommonOptions,
    node: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only of the inputs of this node type."),
    ] = None,
) -> int:
    """Print the JSON Schema of the workflow file.

    With it, an editor completes and checks workflows: save it and name it in the file's `$schema`
    key, or in the editor's settings.
    """
    from nodegraph.core.json_schema import inputs_json_schema, workflow_json_schema

    registry = common.session().registry
    if node is None:
        print_json(workflow_json_schema(registry))
    else:
        print_json(inputs_json_schema(find_spec(registry, node)))
    return 0
