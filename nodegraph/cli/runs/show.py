"""`nodegraph runs show`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.kept import opened_runs
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import (
    StyledText,
    print_json,
    print_table,
    say,
    shown_path,
    shown_seconds,
    shown_size,
)
from nodegraph.cli.problems import print_problems
from nodegraph.cli.runs.list_ import heading, shown_title, status_part
from nodegraph.cli.times import shown_time
from nodegraph.errors import InvalidValue, Problem

if TYPE_CHECKING:
    from nodegraph.store.records import RunRecord


def show(
    common: Common,
    id: Annotated[
        str,
        typer.Argument(metavar="ID", help="A run's id, the start of it, or last"),
    ] = "last",
    workflow: Annotated[
        bool, typer.Option("--workflow", help="Print its workflow, to be run again.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Show what a run did.

    Which nodes ran, how long they took, what they gave, and with which versions of what.
    """
    with opened_runs(common) as runs:
        run = runs.get(id)
    record = run.record
    if workflow:
        if "workflow" not in record:
            raise InvalidValue(f"of the run {run.id}, no workflow is kept", hint=_unfinished(run))
        print_json(record["workflow"])
    elif json:
        print_json({**heading(run), **record})
    else:
        _print(run, record)
    return 0


def _unfinished(run: RunRecord) -> str | None:
    return None if run.record else "It goes on, or its process was killed."


def _print(run: RunRecord, record: Mapping[str, Any]) -> None:
    say((run.id, "bold"), f"  {shown_title(run.title)}" if run.title else "")
    took = "" if run.seconds is None else f" after {shown_seconds(run.seconds)}"
    say(status_part(run.status), took, f", started {shown_time(run.started)}")
    around = record.get("environment", {})
    if around:
        say(
            f"nodegraph {around.get('nodegraph')}, Python {around.get('python')}, "
            f"{around.get('numerics') or around.get('device')}"
        )
    if record.get("targets"):
        say(f"asked for: {', '.join(record['targets'])}")
    nodes = record.get("nodes", {})
    if nodes:
        say()
        heads = [(head, "bold") for head in ("node", "type", "status", "took", "memory", "outputs")]
        print_table([heads, *(_row(name, node) for name, node in nodes.items())])
    _print_files(record)
    problems = [Problem.from_dict(item) for item in record.get("errors", ())]
    if problems:
        say()
        print_problems(problems, line=say)


def _row(name: str, node: Mapping[str, Any]) -> list[StyledText]:
    return [
        name,
        node.get("type", ""),
        shown_status(node),
        shown_seconds(node["seconds"]) if node["status"] == "ran" else "",
        shown_size(node["memory"]) if node.get("memory") else "",
        " ".join(f"{port}={digest[:8]}" for port, digest in node.get("outputs", {}).items()),
    ]


def shown_status(node: Mapping[str, Any]) -> StyledText:
    """How a node fared and, if it came from the cache, from where."""
    source = node.get("source")
    return f"{node['status']} ({source})" if source else status_part(node["status"])


def _print_files(record: Mapping[str, Any]) -> None:
    if record.get("files"):
        say()
        say(("Files", "bold"))
        for file in record["files"]:
            say(f"  {shown_path(Path(file['path']))}")
