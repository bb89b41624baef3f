"""`nodegraph show`: a workflow as a tree, a flowchart or an SVG."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import (
    StyledText,
    can_show,
    echo,
    echo_stderr,
    format_path,
    pluralize,
    print_table,
)
from nodegraph.cli.run_request import current_value
from nodegraph.cli.workflow_source import OpenedWorkflow, open_workflow
from nodegraph.core.links import Link, is_link, read_link, read_literal
from nodegraph.core.literals import format_value
from nodegraph.core.parts import NodeEntry, Subgraph
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.drawing.boxes import Arrow, Box, Drawing

TreeLine = tuple[StyledText, ...]


@dataclass(frozen=True)
class Glyphs:
    """What the tree is drawn with."""

    branch: str = "├─ "
    last: str = "└─ "
    through: str = "│  "
    blank: str = "   "
    arrow: str = "←"

    @property
    def text(self) -> str:
        """All of them, to see whether a terminal has them."""
        return self.branch + self.last + self.through + self.arrow


ASCII = Glyphs("|- ", "`- ", "|  ", "   ", "<-")


class _Visit(NamedTuple):
    """A node still to be shown, at one of its places in the tree."""

    name: str
    start: TreeLine
    indent: str


def tree(nodes: Mapping[str, NodeEntry], glyphs: Glyphs) -> Iterator[TreeLine]:
    """The lines of the tree.

    A node that several others use is shown in full where it comes first.
    """
    return _Tree(nodes, glyphs).lines()


class _Tree:
    def __init__(self, nodes: Mapping[str, NodeEntry], glyphs: Glyphs) -> None:
        self._nodes = nodes
        self._glyphs = glyphs
        self._shown: set[str] = set()
        self._open: set[str] = set()

    def lines(self) -> Iterator[TreeLine]:
        for root in self._roots():
            if root not in self._shown:
                yield from self._from(root)

    def _roots(self) -> Iterator[str]:
        """Nodes that no other uses; then the rest, which are reached already or lie in cycles."""
        used = {
            link.node
            for entry in self._nodes.values()
            for written in entry.inputs.values()
            if (link := _link(written)) is not None
        }
        yield from (name for name in self._nodes if name not in used)
        yield from self._nodes

    def _from(self, root: str) -> Iterator[TreeLine]:
        # Not recursive: a chain of thousands of nodes is a valid workflow.
        waiting: list[_Visit | str] = [_Visit(root, (), "")]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str):
                self._open.discard(item)
                continue
            yield (*item.start, *self._title(item.name))
            if item.name in self._shown or item.name not in self._nodes:
                continue
            self._shown.add(item.name)
            self._open.add(item.name)
            waiting.append(item.name)
            literals, links = self._inputs(item)
            yield from literals
            waiting.extend(reversed(links))

    def _title(self, name: str) -> TreeLine:
        if name not in self._nodes:
            return (name, ("  there is no such node", "red"))
        entry = self._nodes[name]
        about = f" {format_value(entry.label)}" if entry.label else ""
        mark = "  (a cycle)" if name in self._open else "  (above)" if name in self._shown else ""
        return ((name, "bold"), f" ({entry.type}){about}", (mark, "dim"))

    def _inputs(self, visit: _Visit) -> tuple[list[TreeLine], list[_Visit]]:
        """The lines of its literals, and what its links lead to; literals come first."""
        inputs = self._nodes[visit.name].inputs
        literals = {port: value for port, value in inputs.items() if _link(value) is None}
        linked = {port: value for port, value in inputs.items() if _link(value) is not None}
        ordered = [*literals, *linked]
        lines: list[TreeLine] = []
        visits: list[_Visit] = []
        for port in ordered:
            is_last = port == ordered[-1]
            start = visit.indent + (self._glyphs.last if is_last else self._glyphs.branch)
            link = _link(inputs[port])
            if link is None:
                lines.append((start, f"{port} = ", (_value(inputs[port]), "cyan")))
                continue
            indent = visit.indent + (self._glyphs.blank if is_last else self._glyphs.through)
            output = f"{link.port} of " if link.port else ""
            head: TreeLine = (start, f"{port} {self._glyphs.arrow} {output}")
            visits.append(_Visit(link.node, head, indent))
        return lines, visits


def _link(written: object) -> Link | None:
    if not is_link(written):
        return None
    try:
        return read_link(written)  # type: ignore[arg-type]
    except ValueError:
        return None  # shown as it is written


def _value(written: object) -> str:
    return format_value(read_literal(written))


def show(
    common: CommonOptions,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", help="A JSON file, an output file of nodegraph, or - for stdin."
        ),
    ],
    mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Print a flowchart for Mermaid.")
    ] = False,
    svg: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write an SVG file; - prints the SVG."),
    ] = None,
) -> int:
    """Show a workflow as a tree or a drawing.

    The tree starts at the files that are written and goes back to their sources. It needs
    no packs, so it also shows workflows that cannot run here.
    """
    if mermaid and svg is not None:
        raise InvalidValue("--mermaid and --svg cannot be combined", hint="Choose one of them.")
    opened = open_workflow(workflow, common)
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
        echo_stderr(f"Wrote {format_path(Path(file))}.")


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
