"""Drawings of a lineage: a tree as text, a graph for Graphviz, and a page with a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from nodegraph.core.text_format import strip_control_characters
from nodegraph.session.lineage.graph import (
    LineageEntry,
    LineageGraph,
    RelatedResults,
    is_notable,
)

_SHORT = 12
"""Digits of a digest that are shown."""
_SHOWN_RELATED = 4
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 200, 46, 60, 14, 12
"""Pixels of boxes, of the space between them, and around all."""
_MOST_LETTERS = 26
_GENERIC = ("model", "diffusion_pytorch_model", "pytorch_model")
"""Names of files of weights in folders of diffusers."""
_COLORS = {
    "result": "#2e7d5b",
    "input": "#2f6fb0",
    "model": "#8a5cb8",
    "adapter": "#b0522f",
    "pack": "#6b6b6b",
    "seed": "#8a7a1f",
}


def lineage_lines(graph: LineageGraph) -> Iterator[str]:
    """A lineage as a tree of text."""
    yield _label(graph.subject)
    parts: list[tuple[str, list[_TextTree]]] = [
        ("made from", [_tree(each) for each in graph.made_from if is_notable(each)]),
        ("used in", [_tree(each) for each in graph.used_in]),
        ("shares", [(_related_label(each), []) for each in graph.related]),
    ]
    shown = [(head, trees) for head, trees in parts if trees]
    for at, (head, trees) in enumerate(shown):
        is_last = at == len(shown) - 1
        yield f"{_branch(is_last)}{head}"
        yield from _lines(trees, _stem(is_last))
    if not shown:
        yield f"{_branch(True)}nothing is known of it"
    if not graph.is_complete:
        yield "There is more than is shown here."


_TextTree = tuple[str, list["_TextTree"]]


def _tree(entry: LineageEntry) -> _TextTree:
    children = [_tree(each) for each in entry.children if is_notable(each)]
    repeated = "  (see above)" if entry.is_repeated else ""
    return f"{_label(entry)}{repeated}", children


def _lines(trees: Sequence[_TextTree], indent: str) -> Iterator[str]:
    for at, (label, children) in enumerate(trees):
        is_last = at == len(trees) - 1
        yield f"{indent}{_branch(is_last)}{label}"
        yield from _lines(children, f"{indent}{_stem(is_last)}")


def _branch(is_last: bool) -> str:
    return "└─ " if is_last else "├─ "


def _stem(is_last: bool) -> str:
    return "   " if is_last else "│  "


def _plain(text: str) -> str:
    return " ".join(strip_control_characters(text).split())


def _label(entry: LineageEntry) -> str:
    """An entry in one line."""
    if entry.role == "seed":
        return _plain(f"seed {entry.key} ({entry.name})")
    name = entry.name or "a file without a name"
    title = entry.file.title if entry.file is not None else ""
    parts = (f"{entry.role} {name}", entry.key[:_SHORT], entry.detail, title)
    return _plain("  ".join(part for part in parts if part))


def _related_label(related: RelatedResults) -> str:
    source = related.source
    entry = LineageEntry(source.role, source.key, source.name, source.detail)
    names = ", ".join(file.name for file in related.results[:_SHOWN_RELATED])
    is_cut = related.has_more or len(related.results) > _SHOWN_RELATED
    return _plain(f"{_label(entry)}: {names}{', …' if is_cut else ''}")


def lineage_dot(graph: LineageGraph) -> str:
    """A lineage for Graphviz, in the language DOT."""
    lines = ["digraph lineage {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for entry in _entries(graph):
        style = ", penwidth=3" if entry.key == graph.subject.key else ""
        label = "\\n".join(_quoted(line) for line in _box_lines(entry))
        color = _COLORS[entry.role]
        lines.append(f'  "{_quoted(entry.key)}" [label="{label}", color="{color}"{style}];')
    for source, result in graph.edges():
        if is_notable(source):
            lines.append(f'  "{_quoted(source.key)}" -> "{_quoted(result.key)}";')
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace('"', '\\"')


def _entries(graph: LineageGraph) -> list[LineageEntry]:
    """Each entry of the drawing once; the subject first."""
    entries = {graph.subject.key: graph.subject}
    for edge in graph.edges():
        for entry in edge:
            if is_notable(entry):
                entries.setdefault(entry.key, entry)
    return list(entries.values())


def _box_lines(entry: LineageEntry) -> tuple[str, str]:
    if entry.role == "seed":
        return f"seed {entry.key}", entry.name
    return _short_name(entry.name), f"{entry.role} {entry.key[:_SHORT]}"


def _short_name(name: str) -> str:
    """The last part of a name; the folders, where all models have the same last part."""
    *folders, last = name.split("/")
    is_generic = last.partition(".")[0] in _GENERIC and folders
    return "/".join(folders[-2:]) if is_generic else last or "a file without a name"


def lineage_svg(graph: LineageGraph) -> str:
    """A lineage as SVG: sources on the left, results on the right."""
    columns = _columns(graph)
    places: dict[str, tuple[float, float]] = {}
    tallest = max(map(len, columns))
    height = _MARGIN * 2 + tallest * (_HEIGHT + _GAP_Y) - _GAP_Y
    width = _MARGIN * 2 + len(columns) * (_WIDTH + _GAP_X) - _GAP_X
    boxes = []
    for at, column in enumerate(columns):
        x = _MARGIN + at * (_WIDTH + _GAP_X)
        top = (height - len(column) * (_HEIGHT + _GAP_Y) + _GAP_Y) / 2
        for row, entry in enumerate(column):
            y = top + row * (_HEIGHT + _GAP_Y)
            places[entry.key] = (x, y)
            boxes.append(_box(entry, x, y, is_subject=entry.key == graph.subject.key))
    lines = [
        _arrow(places[source.key], places[result.key])
        for source, result in graph.edges()
        if source.key in places and result.key in places
    ]
    name = escape(_plain(graph.subject.name))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Lineage of {name}" '
        f'width="{width}" height="{height:g}" viewBox="0 0 {width} {height:g}" '
        f'font-family="system-ui, sans-serif" font-size="13">{"".join((*lines, *boxes))}</svg>'
    )


def _columns(graph: LineageGraph) -> list[list[LineageEntry]]:
    """Entries by their distance from the subject, the farthest sources first."""
    level = {graph.subject.key: 0}
    edges = [(source, result) for source, result in graph.edges() if is_notable(source)]
    # A path may be longer than another one to the same entry: the longest counts.
    for _ in range(len(edges)):
        before = dict(level)
        for source, result in edges:
            if result.key in level and level[result.key] <= 0:
                level[source.key] = min(level.get(source.key, 0), level[result.key] - 1)
            if source.key in level and level[source.key] >= 0:
                level[result.key] = max(level.get(result.key, 0), level[source.key] + 1)
        if level == before or max(map(abs, level.values())) > len(edges):
            break
    entries = {entry.key: entry for entry in _entries(graph)}
    return [
        [entries[key] for key in entries if level.get(key) == at]
        for at in sorted(set(level.values()))
    ]


def _box(entry: LineageEntry, x: float, y: float, *, is_subject: bool) -> str:
    color = _COLORS[entry.role]
    first, second = (_cut(line) for line in _box_lines(entry))
    stroke = 3 if is_subject else 1.5
    return (
        f'<g><title>{escape(_label(entry))}</title><rect x="{x:g}" y="{y:g}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" rx="7" fill="{color}" fill-opacity=".12" stroke="{color}" '
        f'stroke-width="{stroke}"/><text x="{x + 10:g}" y="{y + 19:g}" fill="currentColor" '
        f'font-weight="600">{escape(first)}</text><text x="{x + 10:g}" y="{y + 36:g}" '
        f'fill="currentColor" font-size="11">{escape(second)}</text></g>'
    )


def _cut(text: str) -> str:
    plain = _plain(text)
    return plain if len(plain) <= _MOST_LETTERS else f"{plain[: _MOST_LETTERS - 1]}…"


def _arrow(source: tuple[float, float], result: tuple[float, float]) -> str:
    x, y = source[0] + _WIDTH, source[1] + _HEIGHT / 2
    to_x, to_y = result[0], result[1] + _HEIGHT / 2
    bend = max((to_x - x) / 2, 24)
    return (
        f'<path d="M{x:g} {y:g}C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}" '
        'fill="none" stroke="#8888" stroke-width="1.5"/>'
    )


def lineage_html(graph: LineageGraph) -> str:
    """A lineage as a page that stands alone."""
    title = escape(_plain(graph.subject.name) or graph.subject.key[:_SHORT])
    lines = escape("\n".join(lineage_lines(graph)))
    return _PAGE.format(title=title, drawing=lineage_svg(graph), lines=lines)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Lineage of {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }}
figure {{ margin: 0; overflow-x: auto; }}
pre {{ overflow-x: auto; line-height: 1.35; }}
</style></head><body>
<h1>Lineage of {title}</h1>
<figure>{drawing}</figure>
<pre>{lines}</pre>
</body></html>
"""
