"""`nodegraph plan`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.exits import BAD_INPUT, FINE
from nodegraph.cli.functions import More
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import StyledText, counted, print_json, print_table, say, shown_seconds
from nodegraph.cli.output import shown_size as size
from nodegraph.cli.parameters import given_texts
from nodegraph.cli.prepared import (
    BypassOption,
    MuteOption,
    OutOption,
    SetOption,
    Wish,
    WorkflowArgument,
    modes_of,
    opened_for,
    with_values,
    workflow_options,
)
from nodegraph.cli.problems import print_problems, print_warnings
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem

if TYPE_CHECKING:
    from nodegraph.engine.planning.plan import NodePlan, Plan, Totals
    from nodegraph.session.session import Session

_SHORT = {
    "parts": "the weights come in parts{slower}. Results are the same.",
    "small": "the work is done in tiles or one by one, and the weights come in parts{slower}. "
    "Results may differ a little. A smaller picture, or fewer at once, would need less.",
    "none": "it is likely to run out of memory. A smaller picture or fewer at once, a dtype of "
    "half precision, weights stored in fewer bits, or closing other programs may help.",
}
_STYLES = {"hit": "green", "run": "yellow", "lazy": "cyan", "skip": "dim"}
_PLACES = {
    "memory": "cached in memory",
    "disk": "cached on disk",
    "digest": "cached; its bytes aren't kept, nor needed",
    "files": "its files lie there unchanged",
    "shared": "an equal node runs for it",
    "blocked": "no value this time",
}
_REASONS = {
    "gone": "runs again, as its bytes aren't kept",
    "sink": "runs",
    "always": "runs each time",
    "random": "runs each time",
    "fault": "its key can't be made",
}


def plan(
    common: Common,
    more: More,
    workflow: WorkflowArgument,
    set_: SetOption = None,
    out: OutOption = None,
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Plan this node and what it needs; may be repeated."),
    ] = None,
    mute: MuteOption = None,
    bypass: BypassOption = None,
    json: JsonOption = False,
) -> int:
    """Tell what a run would do, without running anything.

    For each node: whether its result is there already or it runs, and how long that is expected to
    take. Then the peak of memory, the weights to load, and what is missing. The workflow's named
    parameters are options, as for `run`.
    """
    opened = opened_for(workflow, more)
    with common.session(inputs=opened.folder, **output_flags(out)) as session:
        if not json:
            print_warnings(session.registry.problems)
        texts = given_texts(opened.workflow, more.values)
        wish = Wish(to or None, set_ or (), texts, modes_of(mute, bypass))
        ready, problems = with_values(session.registry, opened.workflow, wish)
        return show_plan(session, ready, wish.targets, json=json, problems=problems)


def more_options(common: Common, arguments: Sequence[str]) -> More:
    """The parameters of the workflow that the arguments name.

    Raises:
        NodegraphError: The workflow can't be read.
    """
    return workflow_options(plan, common, arguments)


def output_flags(out: str | None) -> dict[str, Any]:
    """The setting that ``--out`` stands for."""
    from pathlib import Path

    return {"outputs": Path(out).expanduser().absolute()} if out else {}


def show_plan(
    session: Session,
    workflow: Workflow,
    targets: Sequence[str] | None,
    *,
    json: bool,
    problems: Sequence[Problem] = (),
) -> int:
    """Print what a run of a workflow would do; returns the exit code.

    Args:
        problems: What is known to be wrong beside what is wrong with the workflow itself.
    """
    found = session.plan(workflow, targets=targets, problems=problems)
    print_warnings(session.problems)
    if json:
        print_json({"valid": not found.problems, **found.as_dict()})
    else:
        _print(found)
    return BAD_INPUT if found.problems else FINE


def _print(found: Plan) -> None:
    if found.nodes:
        heads = [(head, "bold") for head in ("node", "type", "time", "memory", "plan")]
        print_table([heads, *(_row(node) for node in found.nodes.values())])
        say()
        _print_totals(found.totals)
        _print_room(found)
    if found.problems:
        say(("This can't run:", "red"))
        for title, names in (("models", found.missing.models), ("packs", found.missing.packs)):
            if names:
                say(f"  missing {title}: {', '.join(names)}")
        print_problems(found.problems)


def _row(node: NodePlan) -> list[StyledText]:
    time = memory = ""
    if node.status in ("run", "lazy"):
        sign = "≈ " if node.basis in ("similar", "estimated") else ""
        time = "?" if node.seconds is None else f"{sign}{shown_seconds(node.seconds)}"
        memory = "?" if node.memory is None else size(node.memory)
    return [node.name, node.type, time, memory, verdict(node)]


def verdict(node: NodePlan) -> StyledText:
    """What a node would do, in words."""
    if node.status == "skip":
        text = "left out" if node.reason == "blocked" else "not asked for"
    elif node.status == "hit":
        text = _PLACES.get(node.place or "", "cached")
        text += "" if node.certain else ", if it is asked for"
    else:
        text = _REASONS.get(node.reason, "runs")
        if node.status == "lazy":
            text = "runs if it is asked for"
        elif not node.certain and node.reason in ("upstream", "state"):
            text = "may run"
        text += _items(node)
    return text, _STYLES[node.status]


def _items(node: NodePlan) -> str:
    if node.calls is None:
        return "; a list of unknown length"
    if node.calls == 1 and not node.cached:
        return ""
    if not node.calls:
        return "; an empty list"
    return f"; {node.cached} of {counted(node.calls, 'item')} cached"


def _print_totals(totals: Totals) -> None:
    counts = totals.counts
    say(f"{_running(totals)}, {counts['hit']} cached{_others(totals)}.")
    if totals.perhaps:
        say("What may run is spared if what it waits for turns out the same as before.")
    if counts["run"]:
        say("Expected time: ", _time(totals), ".")
    for device in sorted({*totals.memory, *totals.unknown_memory, *totals.load}):
        known = totals.memory.get(device)
        least = "at least " if totals.unknown_memory.get(device) or totals.unknown_load else ""
        text = "unknown" if known is None else f"{least}{size(known)}"
        load = totals.load.get(device)
        weights = f"; {size(load)} of weights to load" if load else ""
        room = totals.room.get(device)
        there = f", of {size(room)} that are free for it" if room is not None and known else ""
        say(f"Peak memory on {device}: {text}{there}{weights}.")
    if totals.unknown_load:
        say(f"How much is to be loaded for {', '.join(totals.unknown_load)} isn't known yet.")


def _print_room(found: Plan) -> None:
    """What has no room as it is, what becomes of it, and what would help."""
    for node in found.nodes.values():
        if node.status not in ("run", "lazy") or node.fit not in _SHORT:
            continue
        weights, room = node.weights or 0, found.totals.room.get(node.device, 0)
        need = f"{size(weights)} of weights and {size(node.memory or 0)} of work"
        slower = ""
        if node.transfer_seconds:
            slower = f", which takes at least {shown_seconds(node.transfer_seconds)}"
        becomes = _SHORT[node.fit].format(slower=slower)
        say(
            (node.name, "yellow"),
            f": {need} don't fit the {size(room)} of {node.device}: {becomes}",
        )


def _running(totals: Totals) -> str:
    sure = totals.counts["run"] - totals.perhaps
    words = "1 node runs" if sure == 1 else f"{sure} nodes run"
    return f"{words}, {totals.perhaps} may run" if totals.perhaps else words


def _others(totals: Totals) -> str:
    lazy, skipped = totals.counts["lazy"], totals.counts["skip"]
    words = [f", {lazy} only if asked for"] if lazy else []
    words += [f", {skipped} not asked for"] if skipped else []
    return "".join(words)


def _time(totals: Totals) -> str:
    if not totals.seconds and totals.unknown_seconds:
        return "unknown, as none of this has been run here before"
    least = "at least " if totals.unknown_seconds else ""
    text = f"{least}{shown_seconds(totals.seconds)}"
    perhaps = totals.seconds - totals.sure_seconds
    parts = []
    if totals.load_seconds > 0:
        parts.append(f"{shown_seconds(totals.load_seconds)} to load weights")
    if perhaps > 0:
        parts.append(f"{shown_seconds(perhaps)} may be cut off")
    return f"{text}, of which {' and '.join(parts)}" if parts else text
