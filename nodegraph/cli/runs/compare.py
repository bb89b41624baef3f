"""`nodegraph runs compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.kept import opened_runs
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import (
    StyledText,
    counted,
    print_json,
    print_table,
    say,
    shown_seconds,
    to_json,
)
from nodegraph.cli.runs.list_ import heading, shown_title, status_part
from nodegraph.cli.runs.show import shown_status
from nodegraph.cli.times import shown_time
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.observe.compare import Comparison, NodePair, RunDifference
    from nodegraph.store.records import RunRecord, Runs

_LONGEST = 60
"""Characters of a value that are shown."""
_SHORTEST = 0.001
"""Seconds of which a change is told."""


def compare(
    common: Common,
    first: Annotated[
        str | None,
        typer.Argument(metavar="FIRST", help="A run's id  [default: the last but one]"),
    ] = None,
    second: Annotated[
        str | None, typer.Argument(metavar="SECOND", help="A run's id  [default: the last]")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Tell how two runs differ.

    Changed inputs, and for each node how it fared, how long it took and whether it gave the same.
    """
    from nodegraph.observe.compare import compare as difference

    with opened_runs(common) as runs:
        one, other = _found(runs, first, second)
    found = difference(one.record, other.record)
    if json:
        print_json({"first": heading(one), "second": heading(other), **found.as_dict()})
    else:
        _print(one, other, found)
    return 0


def _found(runs: Runs, first: str | None, second: str | None) -> tuple[RunRecord, RunRecord]:
    if first is None:
        last = runs.list(2)
        if len(last) < 2:
            raise InvalidValue(
                f"there are no two runs to compare, only {counted(len(last), 'run')}"
            )
        return runs.get(last[1].id), runs.get(last[0].id)
    return runs.get(first), runs.get(second or "last")


def _print(one: RunRecord, other: RunRecord, found: Comparison) -> None:
    heads = [(head, "bold") for head in ("", "id", "started", "status", "took", "title")]
    rows = [_heading(name, run) for name, run in (("first", one), ("second", other))]
    print_table([heads, *rows])
    _print_changes("Inputs", "No input was changed.", found.inputs)
    _print_nodes(found.nodes)
    _print_changes("Environment", "", found.environment)


def _heading(name: str, run: RunRecord) -> list[StyledText]:
    took = "" if run.seconds is None else shown_seconds(run.seconds)
    return [
        name,
        run.id,
        shown_time(run.started),
        status_part(run.status),
        took,
        shown_title(run.title),
    ]


def _print_changes(title: str, otherwise: str, changes: Sequence[RunDifference]) -> None:
    if not changes and not otherwise:
        return
    say()
    say((title, "bold"))
    rows = [(item.what, f"{_value(item.first)} → {_value(item.second)}") for item in changes]
    if rows:
        print_table(rows, indent=2)
    else:
        say(f"  {otherwise}")


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else to_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _print_nodes(pairs: Sequence[NodePair]) -> None:
    told = [pair for pair in pairs if not _is_dull(pair)]
    say()
    if told:
        heads = [(head, "bold") for head in ("node", "first", "second", "took", "", "outputs")]
        print_table([heads, *(_row(pair) for pair in told)])
    if len(told) < len(pairs):
        more = counted(len(pairs) - len(told), "more node" if told else "node")
        say((f"{more} came from the cache in both runs, with the same outputs.", "dim"))


def _is_dull(pair: NodePair) -> bool:
    return (
        pair.same_outputs is True
        and pair.first is not None
        and pair.second is not None
        and pair.first["status"] == pair.second["status"] == "cached"
    )


def _row(pair: NodePair) -> list[StyledText]:
    return [
        pair.name,
        _status(pair.first),
        _status(pair.second),
        _times(pair),
        _ratio(pair),
        _outputs(pair),
    ]


def _status(node: Any) -> StyledText:
    return ("not there", "dim") if node is None else shown_status(node)


def _times(pair: NodePair) -> str:
    shown = [
        shown_seconds(node["seconds"]) if node and node["status"] == "ran" else "–"
        for node in (pair.first, pair.second)
    ]
    return "" if shown == ["–", "–"] else " → ".join(shown)


def _ratio(pair: NodePair) -> str:
    if pair.ratio is None:
        return ""
    # Of less than a millisecond, what differs is chance.
    times = [node["seconds"] for node in (pair.first, pair.second) if node]
    return f"×{pair.ratio:.2f}" if max(times) >= _SHORTEST else ""


def _outputs(pair: NodePair) -> StyledText:
    if pair.same_outputs is None:
        return ""
    if pair.same_outputs:
        return "the same"
    old, new = pair.outputs
    differing = [port for port in {**old, **new} if old.get(port) != new.get(port)]
    return (f"{', '.join(differing)} changed", "yellow")
