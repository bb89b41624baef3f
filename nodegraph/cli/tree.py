"""A workflow as a tree of text: from what it writes, back to what that needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from nodegraph.cli.output import StyledText
from nodegraph.core.links import Link, is_link, read_link, read_literal
from nodegraph.core.literals import format_value
from nodegraph.core.parts import NodeEntry

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
