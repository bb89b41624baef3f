"""Differences and conflicts as text, and side by side as an HTML page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from nodegraph.core.comparison.changes import WorkflowChange
from nodegraph.core.comparison.fields import ABSENT, ListStep, Path
from nodegraph.core.comparison.three_way_merge import MergeConflict
from nodegraph.core.links import is_link, read_literal
from nodegraph.core.literals import format_value

Note = Callable[[Any], str]
"""Adds something to a value, such as the digest of the model of that name; empty for nothing."""

_COLORS = {"added": "#116329", "removed": "#a40e26", "renamed": "#0550ae", "changed": "#7d4e00"}
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em; color: #1f2328; background: #fff }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
th, td { border: 1px solid #d1d9e0; padding: 4px 8px; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; white-space: pre-wrap }
th { background: #f6f8fa } td.word { width: 6em; font-weight: 600 }
td.old { background: #fff5f5 } td.new { background: #f2fbf4 } tr.quiet { color: #59636e }
caption { text-align: left; padding: 4px 0 }
"""


def path_text(path: Path) -> str:
    """Return a path in words: ``subgraph `Block`, node `sample`, input `steps```."""
    parts = []
    steps = list(path)
    if steps[0] == "ui":
        names = [step if isinstance(step, str) else step.name for step in steps[1:]]
        return f"layout `{'.'.join(names)}`"
    if steps[0] == "subgraphs":
        parts.append(f"subgraph `{steps[1]}`")
        steps = steps[2:]
        if steps and steps[0] in ("inputs", "outputs"):
            parts.append(f"{str(steps[0])[:-1]} `{steps[1]}`")
            steps = steps[2:]
    if steps and steps[0] == "nodes":
        parts.append(f"node `{steps[1]}`")
        steps = steps[2:]
        if steps and steps[0] == "inputs":
            parts.append(f"input `{steps[1]}`")
            steps = steps[2:]
    elif steps and steps[0] == "parameters":
        parts.append(f"parameter `{steps[1]}`")
        steps = steps[2:]
    if steps:
        words = [step.name if isinstance(step, ListStep) else str(step) for step in steps]
        parts.append(".".join(words))
    return ", ".join(parts)


def value_text(value: Any, note: Note | None = None) -> str:
    """Return a value as text: a link by its source, anything else as JSON, cut short."""
    if value is ABSENT:
        return "nothing"
    if is_link(value):
        return f"from `{value['from']}`"
    plain = read_literal(value)
    more = note(plain) if note is not None and isinstance(plain, str) else ""
    return f"{format_value(plain)}{more}"


def change_text(change: WorkflowChange, note: Note | None = None) -> str:
    """Return what a change says after its verb."""
    location = path_text(change.path)
    if change.verb == "renamed":
        return f"{location} to `{change.after}`"
    if change.verb in ("added", "removed") and change.kind in ("node", "subgraph"):
        document = change.after if change.verb == "added" else change.before
        return f"{location}{_about(document)}"
    before, after = value_text(change.before, note), value_text(change.after, note)
    if change.verb == "changed":
        return f"{location}: {before} → {after}"
    return f"{location}: {after if change.verb == 'added' else before}"


def _about(document: Mapping[str, Any]) -> str:
    if "type" in document:
        version = f" version {document['version']}" if "version" in document else ""
        return f" ({document['type']}{version})"
    count = len(document.get("nodes", {}))
    return f" ({count} node{'' if count == 1 else 's'})"


def conflict_text(conflict: MergeConflict) -> list[str]:
    """Return the lines of a conflict: what happened, then the three values."""
    values = (("base", conflict.base), ("ours", conflict.ours), ("theirs", conflict.theirs))
    return [
        f"{path_text(conflict.path)}: {conflict.message}",
        *(f"  {name}: {value_text(value)}" for name, value in values),
    ]


def html_page(
    changes: Sequence[WorkflowChange], first: str, second: str, note: Note | None = None
) -> str:
    """Return a page with the changes side by side. It loads nothing and runs no script.

    Args:
        first, second: Names of the workflows.
    """
    rows = "\n".join(_row(change, note) for change in changes)
    count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(first)} → {escape(second)}</title>
<style>{_STYLE}</style>
</head>
<body>
<table>
<caption>{count}</caption>
<thead>
<tr><td class="word"></td><th>Place</th><th>{escape(first)}</th><th>{escape(second)}</th></tr>
</thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def _row(change: WorkflowChange, note: Note | None) -> str:
    quiet = ' class="quiet"' if change.is_quiet else ""
    color = _COLORS[change.verb]
    before, after = (_cell(value, note) for value in (change.before, change.after))
    return (
        f'<tr{quiet}><td class="word" style="color: {color}">{change.verb}</td>'
        f"<td>{escape(path_text(change.path))}</td>"
        f'<td class="old">{escape(before)}</td><td class="new">{escape(after)}</td></tr>'
    )


def _cell(value: Any, note: Note | None) -> str:
    """A value for the page: a part with a line for each input."""
    if value is ABSENT:
        return ""
    if isinstance(value, Mapping) and ("type" in value or "nodes" in value):
        lines = [f"{key}: {format_value(item)}" for key, item in value.items() if key != "inputs"]
        inputs = value.get("inputs", {})
        lines += [f"{name}: {value_text(item, note)}" for name, item in _items(inputs)]
        return "\n".join(lines)
    return value if isinstance(value, str) else value_text(value, note)


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, Mapping) else ()
