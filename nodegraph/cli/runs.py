"""The commands of `nodegraph runs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption, open_runs
from nodegraph.cli.output import (
    StyledText,
    echo,
    echo_stderr,
    format_path,
    format_seconds,
    format_size,
    format_time,
    pluralize,
    print_json,
    print_problems,
    print_table,
    to_json,
)
from nodegraph.errors import InvalidValue, Problem

if TYPE_CHECKING:
    from nodegraph.observe.record import Comparison, NodePair, RunDifference
    from nodegraph.store.history import RunRecord, Runs, RunSummary

_LONGEST = 60
"""Characters of a value that are shown."""
_SHORTEST = 0.001
"""Seconds of which a change is told."""


def compare(
    common: CommonOptions,
    first: Annotated[
        str | None,
        typer.Argument(metavar="FIRST", help="A run's id  [default: the last but one]"),
    ] = None,
    second: Annotated[
        str | None, typer.Argument(metavar="SECOND", help="A run's id  [default: the last]")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Show how two runs differ.

    Changed inputs, and for each node its state, its time and whether its result is the same.
    """
    from nodegraph.observe.record import compare as difference

    with open_runs(common) as runs:
        first_run, other = _compared_runs(runs, first, second)
    comparison = difference(first_run.record, other.record)
    if json:
        print_json({"first": heading(first_run), "second": heading(other), **comparison.as_dict()})
    else:
        _print_comparison(first_run, other, comparison)
    return 0


def _compared_runs(
    runs: Runs, first: str | None, second: str | None
) -> tuple[RunRecord, RunRecord]:
    if first is None:
        last = runs.list(2)
        if len(last) < 2:
            raise InvalidValue(
                f"there are no two runs to compare, only {pluralize(len(last), 'run')}"
            )
        return runs.get(last[1].id), runs.get(last[0].id)
    return runs.get(first), runs.get(second or "last")


def _print_comparison(first_run: RunRecord, other: RunRecord, comparison: Comparison) -> None:
    heads = [(head, "bold") for head in ("", "id", "started", "status", "took", "title")]
    rows = [_heading(name, run) for name, run in (("first", first_run), ("second", other))]
    print_table([heads, *rows])
    _print_changes("Inputs", "No input was changed.", comparison.inputs)
    _print_nodes(comparison.nodes)
    _print_changes("Environment", "", comparison.environment)


def _heading(name: str, run: RunRecord) -> list[StyledText]:
    took = "" if run.seconds is None else format_seconds(run.seconds)
    return [
        name,
        run.id,
        format_time(run.started),
        status_part(run.status),
        took,
        format_title(run.title),
    ]


def _print_changes(title: str, otherwise: str, changes: Sequence[RunDifference]) -> None:
    if not changes and not otherwise:
        return
    echo()
    echo((title, "bold"))
    rows = [(item.what, f"{_value(item.first)} → {_value(item.second)}") for item in changes]
    if rows:
        print_table(rows, indent=2)
    else:
        echo(f"  {otherwise}")


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else to_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _print_nodes(pairs: Sequence[NodePair]) -> None:
    notable = [pair for pair in pairs if not _is_unchanged(pair)]
    echo()
    if notable:
        heads = [(head, "bold") for head in ("node", "first", "second", "took", "", "outputs")]
        print_table([heads, *(_comparison_row(pair) for pair in notable)])
    if len(notable) < len(pairs):
        more = pluralize(len(pairs) - len(notable), "more node" if notable else "node")
        echo((f"{more} came from the cache in both runs, with the same outputs.", "dim"))


def _is_unchanged(pair: NodePair) -> bool:
    return (
        pair.same_outputs is True
        and pair.first is not None
        and pair.second is not None
        and pair.first["status"] == pair.second["status"] == "cached"
    )


def _comparison_row(pair: NodePair) -> list[StyledText]:
    return [
        pair.name,
        _status(pair.first),
        _status(pair.second),
        _times(pair),
        _ratio(pair),
        _outputs(pair),
    ]


def _status(node: Any) -> StyledText:
    return ("missing", "dim") if node is None else format_status(node)


def _times(pair: NodePair) -> str:
    shown = [
        format_seconds(node["seconds"]) if node and node["status"] == "ran" else "–"
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


STYLES = {"ok": "green", "failed": "red", "cancelled": "yellow"}

_LONGEST_TITLE = 60


def list_(
    common: CommonOptions,
    limit: Annotated[int, typer.Option(metavar="N", help="List at most this many", min=1)] = 20,
    json: JsonOption = False,
) -> int:
    """List earlier runs, the last one first."""
    with open_runs(common) as runs:
        summaries = runs.list(limit)
    if json:
        print_json({"runs": [heading(run) for run in summaries]})
    else:
        _print_list(summaries)
    return 0


def heading(run: RunSummary) -> dict[str, Any]:
    """What a list tells of a run, for JSON output."""
    return {
        "id": run.id,
        "title": run.title,
        "started": run.started,
        "seconds": run.seconds,
        "status": run.status,
    }


def _print_list(summaries: Sequence[RunSummary]) -> None:
    if not summaries:
        echo("No runs.")
        return
    heads = [(head, "bold") for head in ("id", "started", "status", "took", "title")]
    print_table([heads, *(_list_row(run) for run in summaries)])
    echo_stderr("`nodegraph runs show ID` shows more about one; the start of an id is enough.")


def _list_row(run: RunSummary) -> list[StyledText]:
    took = "" if run.seconds is None else format_seconds(run.seconds)
    return [
        run.id,
        format_time(run.started),
        status_part(run.status),
        took,
        format_title(run.title),
    ]


def status_part(status: str) -> StyledText:
    """A run's or a node's status in its color."""
    return (status, STYLES[status]) if status in STYLES else status


def format_title(title: str) -> str:
    """A workflow's title in one line, cut where it is long."""
    line = " ".join(title.split())
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 1]}…"


def show(
    common: CommonOptions,
    id: Annotated[
        str,
        typer.Argument(metavar="ID", help="A run's id, the start of an id, or last"),
    ] = "last",
    workflow: Annotated[
        bool, typer.Option("--workflow", help="Print its workflow, to run it again.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Show what a run did.

    Which nodes ran, how long they took, their results, and the versions of all libraries.
    """
    with open_runs(common) as runs:
        run = runs.get(id)
    record = run.record
    if workflow:
        if "workflow" not in record:
            raise InvalidValue(
                f"the workflow of the run {run.id} is not kept", hint=_unfinished(run)
            )
        print_json(record["workflow"])
    elif json:
        print_json({**heading(run), **record})
    else:
        _print_run(run, record)
    return 0


def _unfinished(run: RunRecord) -> str | None:
    return None if run.record else "It is still running, or its process was killed."


def _print_run(run: RunRecord, record: Mapping[str, Any]) -> None:
    echo((run.id, "bold"), f"  {format_title(run.title)}" if run.title else "")
    took = "" if run.seconds is None else f" after {format_seconds(run.seconds)}"
    echo(status_part(run.status), took, f", started {format_time(run.started)}")
    around = record.get("environment", {})
    if around:
        echo(
            f"nodegraph {around.get('nodegraph')}, Python {around.get('python')}, "
            f"{around.get('numerics') or around.get('device')}"
        )
    if record.get("targets"):
        echo(f"targets: {', '.join(record['targets'])}")
    nodes = record.get("nodes", {})
    if nodes:
        echo()
        heads = [(head, "bold") for head in ("node", "type", "status", "took", "memory", "outputs")]
        print_table([heads, *(_run_row(name, node) for name, node in nodes.items())])
    _print_files(record)
    problems = [Problem.from_dict(item) for item in record.get("errors", ())]
    if problems:
        echo()
        print_problems(problems, line=echo)


def _run_row(name: str, node: Mapping[str, Any]) -> list[StyledText]:
    return [
        name,
        node.get("type", ""),
        format_status(node),
        format_seconds(node["seconds"]) if node["status"] == "ran" else "",
        format_size(node["memory"]) if node.get("memory") else "",
        " ".join(f"{port}={digest[:8]}" for port, digest in node.get("outputs", {}).items()),
    ]


def format_status(node: Mapping[str, Any]) -> StyledText:
    """How a node fared and, if it came from the cache, from where."""
    source = node.get("source")
    return f"{node['status']} ({source})" if source else status_part(node["status"])


def _print_files(record: Mapping[str, Any]) -> None:
    if record.get("files"):
        echo()
        echo(("Files", "bold"))
        for file in record["files"]:
            echo(f"  {format_path(Path(file['path']))}")
