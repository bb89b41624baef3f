"""`nodegraph cache list`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nodegraph.cli.kept import opened_store
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import StyledText, print_json, print_table, say, shown_seconds, shown_size
from nodegraph.cli.times import shown_age

if TYPE_CHECKING:
    from nodegraph.store.info import EntryInfo, EntryOrder

_ORDERS: dict[str | None, EntryOrder] = {
    None: "newest",
    "bytes": "largest",
    "seconds": "slowest",
    "age": "oldest",
}


def list_(
    common: Common,
    type: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="Only of this node type; * stands for anything."),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", help="List so many at most", min=1)] = 20,
    sort: Annotated[
        Literal["bytes", "seconds", "age"] | None,
        typer.Option(
            metavar="bytes|seconds|age",
            help="The largest, slowest or oldest first  [default: the newest]",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """List the results that are kept.

    Of each call: its node type, what its outputs take on disk, how long computing them took.
    """
    from nodegraph.store.info import list_entries

    with opened_store(common) as store:
        found = list_entries(store, node_type=type or "*", order=_ORDERS[sort], limit=limit)
    if json:
        print_json({"entries": [asdict(entry) for entry in found]})
    else:
        _print(found)
    return 0


def _print(found: Sequence[EntryInfo]) -> None:
    if not found:
        say("No results.")
        return
    heads = [(head, "bold") for head in ("node type", "key", "on disk", "took", "age", "used", "")]
    print_table([heads, *(_row(entry) for entry in found)])


def _row(entry: EntryInfo) -> list[StyledText]:
    return [
        entry.node_type,
        entry.key[:12],
        shown_size(entry.bytes),
        shown_seconds(entry.seconds),
        shown_age(entry.created),
        f"{shown_age(entry.used)} ago",
        "" if entry.is_whole else ("only its digest is known", "dim"),
    ]
