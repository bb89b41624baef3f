"""`nodegraph runs list`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.kept import opened_runs
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import StyledText, print_json, print_table, say, shown_seconds, tell
from nodegraph.cli.times import shown_time

if TYPE_CHECKING:
    from nodegraph.store.records import RunSummary

STYLES = {"ok": "green", "failed": "red", "cancelled": "yellow"}

_LONGEST_TITLE = 60


def list_(
    common: Common,
    limit: Annotated[int, typer.Option(metavar="N", help="List so many at most", min=1)] = 20,
    json: JsonOption = False,
) -> int:
    """List earlier runs, the last one first."""
    with opened_runs(common) as runs:
        found = runs.list(limit)
    if json:
        print_json({"runs": [heading(run) for run in found]})
    else:
        _print(found)
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


def _print(found: Sequence[RunSummary]) -> None:
    if not found:
        say("No runs.")
        return
    heads = [(head, "bold") for head in ("id", "started", "status", "took", "title")]
    print_table([heads, *(_row(run) for run in found)])
    tell("`nodegraph runs show ID` tells more of one; the start of an id is enough.")


def _row(run: RunSummary) -> list[StyledText]:
    took = "" if run.seconds is None else shown_seconds(run.seconds)
    return [run.id, shown_time(run.started), status_part(run.status), took, shown_title(run.title)]


def status_part(status: str) -> StyledText:
    """A run's or a node's status in its colour."""
    return (status, STYLES[status]) if status in STYLES else status


def shown_title(title: str) -> str:
    """A workflow's title in one line, cut where it is long."""
    line = " ".join(title.split())
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 1]}…"
