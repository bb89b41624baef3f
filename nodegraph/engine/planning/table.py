"""A plan in words: a row for each node, lines on the whole, and both as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from nodegraph.core.tables import rich_table
from nodegraph.core.words import cleaned, counted, shown_seconds, shown_size

if TYPE_CHECKING:
    from rich.console import Group

    from nodegraph.engine.planning.plan import NodePlan, Plan, Totals

HEADS = ("node", "type", "time", "memory", "plan")
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


def row(node: NodePlan) -> tuple[str, str, str, str, str]:
    """What is told of a node, under `HEADS`."""
    time = memory = ""
    if node.status in ("run", "lazy"):
        sign = "≈ " if node.basis in ("similar", "estimated") else ""
        time = "?" if node.seconds is None else f"{sign}{shown_seconds(node.seconds)}"
        memory = "?" if node.memory is None else shown_size(node.memory)
    return node.name, node.type, time, memory, verdict(node)


def verdict(node: NodePlan) -> str:
    """What a node would do, in words."""
    if node.status == "skip":
        return "left out" if node.reason == "blocked" else "not asked for"
    if node.status == "hit":
        return _PLACES.get(node.place or "", "cached") + (
            "" if node.certain else ", if it is asked for"
        )
    text = _REASONS.get(node.reason, "runs")
    if node.status == "lazy":
        text = "runs if it is asked for"
    elif not node.certain and node.reason in ("upstream", "state"):
        text = "may run"
    return text + _items(node)


def _items(node: NodePlan) -> str:
    if node.calls is None:
        return "; a list of unknown length"
    if node.calls == 1 and not node.cached:
        return ""
    if not node.calls:
        return "; an empty list"
    return f"; {node.cached} of {counted(node.calls, 'item')} cached"


def total_lines(totals: Totals) -> Iterator[str]:
    """What is told of the whole."""
    counts = totals.counts
    yield f"{_running(totals)}, {counts['hit']} cached{_others(totals)}."
    if totals.perhaps:
        yield "What may run is spared if what it waits for turns out the same as before."
    if counts["run"]:
        yield f"Expected time: {_time(totals)}."
    for device in sorted({*totals.memory, *totals.unknown_memory, *totals.load}):
        known = totals.memory.get(device)
        least = "at least " if totals.unknown_memory.get(device) or totals.unknown_load else ""
        text = "unknown" if known is None else f"{least}{shown_size(known)}"
        load = totals.load.get(device)
        weights = f"; {shown_size(load)} of weights to load" if load else ""
        room = totals.room.get(device)
        there = (
            f", of {shown_size(room)} that are free for it" if room is not None and known else ""
        )
        yield f"Peak memory on {device}: {text}{there}{weights}."
    if totals.unknown_load:
        yield f"How much is to be loaded for {', '.join(totals.unknown_load)} isn't known yet."


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


def plan_html(plan: Plan) -> str:
    """The plan as a table, with what is told of the whole and what is wrong below it."""
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    rows = "".join(f"<tr>{_cells(node)}</tr>" for node in plan.nodes.values())
    told = "<br>".join(escape(cleaned(line)) for line in _below(plan))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><p>{told}</p>"


def _cells(node: NodePlan) -> str:
    return "".join(f"<td>{escape(cleaned(cell))}</td>" for cell in row(node))


def plan_table(plan: Plan) -> Group:
    """The same for Rich."""
    return rich_table("plan", HEADS, map(row, plan.nodes.values()), _below(plan))


def _below(plan: Plan) -> list[str]:
    lines = list(total_lines(plan.totals)) if plan.nodes else []
    return [*lines, "This can't run:", *map(str, plan.problems)] if plan.problems else lines
