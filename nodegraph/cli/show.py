"""`nodegraph show`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.opening import OpenedWorkflow, open_workflow
from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import can_show, echo, echo_stderr, format_path, pluralize, print_table
from nodegraph.cli.parameters import current_value
from nodegraph.cli.tree import ASCII, Glyphs, tree
from nodegraph.core.parts import Subgraph
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.drawing.boxes import Arrow, Box, Drawing


def show(
    common: CommonOptions,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", help="A JSON file, a result by nodegraph, or - (stdin)."
        ),
    ],
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print a flowchart for Mermaid.")
    ] = False,
    svg: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Draw it into an SVG file; - prints the SVG."),
    ] = None,
) -> int:
    """Show a workflow as a tree or a drawing.

    The tree leads from what is written back to what it is made from. It needs no packs, so it shows
    workflows that can't run here, too.
    """
    if mermaid and svg is not None:
        raise InvalidValue("--mermaid and --svg can't be combined", hint="Choose one of them.")
    opened = open_workflow(workflow, common.pack_list)
    if mermaid:
        print(flowchart(_drawings(common, opened)))
    elif svg is not None:
        _draw(_drawings(common, opened), svg)
    else:
        _print_tree(opened)
    return 0


def _drawings(common: CommonOptions, opened: OpenedWorkflow) -> list[Drawing]:
    from nodegraph.core.drawing.boxes import drawings
    from nodegraph.core.subgraphs import SpecResolver

    title = opened.workflow.title or Path(opened.name).name
    workflow, registry = opened.workflow, common.session().registry
    specs = SpecResolver(workflow, registry)
    return drawings(workflow.nodes, workflow.subgraphs, title, specs.resolve, registry.types)


def _draw(drawn: list[Drawing], file: str) -> None:
    from nodegraph.core.drawing.svg import svg as picture
    from nodegraph.core.files import write_file

    text = picture(drawn)
    if file == "-":
        print(text, end="")
    else:
        write_file(Path(file), text.encode())
        echo_stderr(f"Drawn into {format_path(Path(file))}.")


def _print_tree(opened: OpenedWorkflow) -> None:
    workflow = opened.workflow
    glyphs = Glyphs() if can_show(Glyphs().text, sys.stdout) else ASCII
    echo((workflow.title or opened.name, "bold"), f"  {pluralize(len(workflow.nodes), 'node')}")
    if workflow.description:
        echo(workflow.description)
    _print_parameters(workflow)
    echo()
    for line in tree(workflow.nodes, glyphs):
        echo(*line)
    for name, block in workflow.subgraphs.items():
        echo()
        echo((f"subgraph {name}", "bold"), f"  {pluralize(len(block.nodes), 'node')}")
        _print_ports(block, glyphs)
        for line in tree(block.nodes, glyphs):
            echo(*line)


def _print_parameters(workflow: Workflow) -> None:
    if not workflow.parameters:
        return
    echo()
    echo(("Parameters", "bold"))
    rows = [
        (name, parameter.input, (current_value(workflow, parameter), "cyan"))
        for name, parameter in workflow.parameters.items()
    ]
    print_table(rows, indent=2)


def _print_ports(block: Subgraph, glyphs: Glyphs) -> None:
    for name, port in block.inputs.items():
        kind = f" ({port.type})" if port.type else ""
        for target in port.to or ["nothing"]:
            echo(f"{target} {glyphs.arrow} input {name}{kind}")
    for name, link in block.outputs.items():
        echo(f"output {name} {glyphs.arrow} {link}")


_SPECIAL = str.maketrans({char: f"#{ord(char)};" for char in '#"<>&\n\r`|[]{}()\\'})


def flowchart(drawings: Sequence[Drawing]) -> str:
    """A Mermaid flowchart, which GitHub and many editors draw; subgraphs become frames."""
    lines = ["flowchart LR"]
    first, *blocks = drawings
    lines += _scope(first, "n")
    for at, block in enumerate(blocks):
        lines.append(f'  subgraph s{at}["{_text(block.title)}"]')
        lines += (f"  {line}" for line in _scope(block, f"s{at}n"))
        lines.append("  end")
    return "\n".join(lines)


def _scope(drawing: Drawing, prefix: str) -> Iterator[str]:
    ids = {name: f"{prefix}{at}" for at, name in enumerate(drawing.boxes)}
    for name, box in drawing.boxes.items():
        yield f"  {ids[name]}{_shape(box)}"
    for arrow in drawing.arrows:
        yield f"  {ids[arrow.source]} -->|{_label(arrow)}| {ids[arrow.target]}"


def _shape(box: Box) -> str:
    text = f'"{_text(box.title)}<br/><small>{_text(box.kind)}</small>"'
    return f"[[{text}]]" if box.is_block else f"[{text}]"


def _label(arrow: Arrow) -> str:
    if not arrow.output or arrow.output == arrow.input:
        return f'"{_text(arrow.input)}"'
    return f'"{_text(arrow.output)} #8594; {_text(arrow.input)}"'


def _text(text: str) -> str:
    return text.translate(_SPECIAL)
