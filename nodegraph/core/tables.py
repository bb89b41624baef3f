"""Tables that Rich prints: of results, plans and graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.core.links import is_link, read_literal
from nodegraph.core.literals import format_value
from nodegraph.core.text_format import strip_control_characters

if TYPE_CHECKING:
    from rich.console import Group

    from nodegraph.core.parts import NodeEntry

_MOST = 40
"""Rows of a table, and lines below it."""


def rich_table(
    title: str, headers: Sequence[str], rows: Iterable[Sequence[str]], footer: Iterable[str] = ()
) -> Group:
    """A table with a title and lines below; texts stand in it as they are, without markup."""
    from rich.console import Group  # what is never printed needs none of it
    from rich.table import Table
    from rich.text import Text

    entries, lines = list(rows), list(footer)
    table = Table()
    for head in headers:
        table.add_column(head)
    for row in entries[:_MOST]:
        table.add_row(*(Text(strip_control_characters(cell)) for cell in row))
    if len(entries) > _MOST:
        table.add_row(Text(f"… and {len(entries) - _MOST} more"))
    if len(lines) > _MOST:
        lines[_MOST:] = [f"… and {len(lines) - _MOST} more"]
    return Group(
        Text(strip_control_characters(title)),
        table,
        *(Text(strip_control_characters(line)) for line in lines),
    )


def workflow_table(nodes: Mapping[str, NodeEntry], title: str) -> Group:
    """The nodes of a workflow with their inputs."""
    rows = [
        (name, entry.type, ", ".join(_input_text(*each) for each in entry.inputs.items()))
        for name, entry in nodes.items()
    ]
    return rich_table(title or "workflow", ("node", "type", "inputs"), rows)


def _input_text(port: str, written: Any) -> str:
    if is_link(written):
        return f"{port}: {written['from']}"
    return f"{port}={format_value(read_literal(written))}"
