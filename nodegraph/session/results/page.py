"""A run's result as notebooks show it: what its nodes gave and wrote, and how they fared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from nodegraph.core.words import format_path, format_seconds, strip_control_characters
from nodegraph.engine.result import RunResult
from nodegraph.errors import NodegraphError
from nodegraph.session.results.html import (
    MAX_SIDE,
    blocks,
    figure_html,
    files_html,
    image_html,
    row_html,
    value_html,
)

_MOST_NODES = 200


def result_html(result: RunResult) -> str:
    """The whole of a result as HTML that stands alone."""
    status = escape(result.status if not result.reason else f"{result.status}: {result.reason}")
    head = f"<p>{status} · {escape(result.told)}</p>"
    return f"<div>{head}{''.join(blocks(_parts(result)))}{_nodes(result)}</div>"


def sheet_html(results: Sequence[RunResult | NodegraphError], captions: Sequence[str]) -> str:
    """The first picture of each of several results, with a caption; its words where it has none.

    Args:
        results: Or why there is none.
    """
    shown = zip(results, captions, strict=True)
    return row_html([_figure_of(result, caption) for result, caption in shown])


def _figure_of(result: RunResult | NodegraphError, caption: str) -> str:
    if isinstance(result, NodegraphError):
        return figure_html(f"<code>{escape(strip_control_characters(str(result)))}</code>", caption)
    # A node that is mapped over a list wrote files as `save[0]`, `save[1]` and so on.
    writers = (file.node.partition("[")[0] for file in result.files)
    for name in dict.fromkeys((*result.outputs, *writers)):
        try:
            return figure_html(image_html(result.image(name), MAX_SIDE), caption)
        except NodegraphError:
            continue  # it has none, or its file is gone
    about = f"{result.status}: {result.errors[0]}" if result.errors else result.told
    return figure_html(f"<code>{escape(strip_control_characters(about))}</code>", caption)


def _parts(result: RunResult) -> Iterator[tuple[str, str]]:
    for error in result.errors:
        yield (
            f"{error.problem.node} failed",
            f"<pre>{escape(strip_control_characters(str(error)))}</pre>",
        )
    for name in result.outputs:
        try:
            value = result.outputs[name]
        except NodegraphError as error:
            yield name, f"<em>{escape(strip_control_characters(str(error)))}</em>"
        else:
            yield name, value_html(value)
    for node in dict.fromkeys(file.node for file in result.files):
        paths = [file.path for file in result.files if file.node == node]
        there = [path for path in paths if path.exists()]
        gone = [path for path in paths if not path.exists()]
        lost = "".join(f"<p>{escape(format_path(path))} is there no more</p>" for path in gone)
        yield f"{node}: {format_path(paths[0].parent)}", files_html(there) + lost


def _nodes(result: RunResult) -> str:
    """How each node fared, folded away."""
    rows = "".join(
        f"<tr><td>{escape(strip_control_characters(name))}</td><td>{escape(strip_control_characters(report.type))}</td>"
        f"<td>{report.status}</td><td>{format_seconds(report.seconds)}</td></tr>"
        for name, report in list(result.nodes.items())[:_MOST_NODES]
    )
    more = len(result.nodes) - _MOST_NODES
    more_text = f"<p>… and {more} more</p>" if more > 0 else ""
    return f"<details><summary>nodes</summary><table>{rows}</table>{more_text}</details>"
