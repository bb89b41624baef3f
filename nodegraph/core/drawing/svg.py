"""A workflow as an SVG picture that stands alone: any browser shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

from nodegraph.core.drawing.boxes import Arrow, Box, Drawing
from nodegraph.core.drawing.layout import Layout, compute_layout
from nodegraph.core.words import display_width, strip_control_characters

_MARGIN = 28.0
_HEAD = 44.0
_ROW = 20.0
_PADDING = 12.0
_LETTER = 7.1
"""Mean width of a letter at 12 pixels; what is wider is cut by the box."""
_NARROWEST, _WIDEST = 132.0, 320.0
_TITLE = 44.0

_STYLE = """
svg { font: 12px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.paper { fill: #f6f7f9; } .box { fill: #ffffff; stroke: #c3c8d0; } .head { fill: #e8ebf0; }
.title { font-weight: 600; fill: #1d2430; } .type { font-size: 11px; fill: #697386; }
.port { fill: #303a4a; } .value { fill: #0b5fad; } .heading { font-size: 16px; }
.block { stroke-dasharray: 5 3; } .link { fill: none; stroke-width: 2; stroke-opacity: .85; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #16181d; } .box { fill: #22262e; stroke: #3d4450; } .head { fill: #2d323c; }
  .title { fill: #eef1f6; } .type { fill: #98a2b3; } .port { fill: #ccd3de; }
  .value { fill: #7cc0ff; }
}
"""


def svg(drawings: Sequence[Drawing]) -> str:
    """The picture; drawings stand one below the other, each with its title."""
    panels = []
    width = top = 0.0
    for drawing in drawings:
        sizes = {name: _size(box) for name, box in drawing.boxes.items()}
        placed = compute_layout(drawing, sizes)
        panels.append(_panel(drawing, placed, sizes, top))
        width = max(width, placed.width, _LETTER * 1.5 * display_width(drawing.title))
        top += _TITLE + placed.height + _MARGIN
    width, height = width + 2 * _MARGIN, top + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
            f' viewBox="0 0 {width:.0f} {height:.0f}">',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
            *panels,
            "</svg>",
            "",
        ]
    )


def picture_html(drawings: Sequence[Drawing]) -> str:
    """The picture for a page of others', which its style must not reach: an image of its own."""
    from base64 import b64encode

    data = b64encode(svg(drawings).encode()).decode()
    title = escape(strip_control_characters(drawings[0].title)) if drawings else ""
    return f'<img alt="{title}" style="max-width: 100%" src="data:image/svg+xml;base64,{data}">'


def _size(box: Box) -> tuple[float, float]:
    inputs = max((display_width(port.name) for port in box.inputs), default=0)
    outputs = max((display_width(port.name) for port in box.outputs), default=0)
    texts = [display_width(f"{name}: {value}") for name, value in box.literals.items()]
    letters = max(
        display_width(box.title) * 1.1, display_width(box.kind), inputs + outputs + 3, *texts, 0
    )
    width = min(max(letters * _LETTER + 2 * _PADDING, _NARROWEST), _WIDEST)
    return width, _HEAD + _ROW * _rows(box) + _PADDING / 2


def _rows(box: Box) -> int:
    return max(len(box.inputs), len(box.outputs)) + len(box.literals)


def _panel(
    drawing: Drawing, placed: Layout, sizes: dict[str, tuple[float, float]], top: float
) -> str:
    parts = [
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN + top:.0f})">',
        f'<text class="title heading" y="14">{_text(drawing.title)}</text>',
        f'<g transform="translate(0 {_TITLE:.0f})">',
    ]
    parts += [_link(arrow, drawing, placed, sizes) for arrow in drawing.arrows]
    for name, box in drawing.boxes.items():
        parts += _box(box, placed.boxes[name], sizes[name])
    return "\n".join([*parts, "</g>", "</g>"])


def _link(
    arrow: Arrow, drawing: Drawing, placed: Layout, sizes: dict[str, tuple[float, float]]
) -> str:
    """A link as a smooth line from port to port, through the places where it passes columns."""
    source, target = drawing.boxes[arrow.source], drawing.boxes[arrow.target]
    x, y = placed.boxes[arrow.source]
    start = x + sizes[arrow.source][0], y + _port_height(source.outputs, arrow.output)
    x, y = placed.boxes[arrow.target]
    end = x, y + _port_height(target.inputs, arrow.input)
    points = [start, *placed.routing_points.get((arrow.source, arrow.target), []), end]
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = max(abs(x1 - x0) * 0.5, 28.0 if x1 < x0 else 0.0)
        path += f" C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    about = _text(f"{arrow.source}.{arrow.output} → {arrow.target}.{arrow.input}")
    return (
        f'<path class="link" d="{path}" stroke="{_color(arrow.color)}">'
        f"<title>{about}</title></path>"
    )


def _port_height(ports: Sequence[object], name: str) -> float:
    names = [port.name for port in ports]  # type: ignore[attr-defined]
    row = names.index(name) if name in names else 0
    return _HEAD + _ROW * (row + 0.5)


def _box(box: Box, corner: tuple[float, float], size: tuple[float, float]) -> Iterator[str]:
    width, height = size
    dashed = " block" if box.is_block else ""
    yield f'<g transform="translate({corner[0]:.1f} {corner[1]:.1f})">'
    yield f"<title>{_text(f'{box.name} ({box.kind})')}</title>"
    yield f'<rect class="box{dashed}" width="{width:.1f}" height="{height:.1f}" rx="7"/>'
    yield (
        f'<path class="head" d="M.5 {_HEAD - 4:.0f}V7Q.5 .5 7 .5H{width - 7:.1f}'
        f'Q{width - 0.5:.1f} .5 {width - 0.5:.1f} 7V{_HEAD - 4:.0f}Z"/>'
    )
    yield f'<text class="title" x="{_PADDING}" y="17">{_cut(box.title, width, 1.1)}</text>'
    yield f'<text class="type" x="{_PADDING}" y="33">{_cut(box.kind, width)}</text>'
    yield from _ports(box, width)
    yield from _values(box, width)
    yield "</g>"


def _ports(box: Box, width: float) -> Iterator[str]:
    for row, port in enumerate(box.inputs):
        y = _HEAD + _ROW * (row + 0.5)
        yield f'<circle cx="0" cy="{y:.1f}" r="4.5" fill="{_color(port.color)}"/>'
        yield f'<text class="port" x="{_PADDING}" y="{y + 4:.1f}">{_text(port.name)}</text>'
    for row, port in enumerate(box.outputs):
        y = _HEAD + _ROW * (row + 0.5)
        yield f'<circle cx="{width:.1f}" cy="{y:.1f}" r="4.5" fill="{_color(port.color)}"/>'
        yield (
            f'<text class="port" x="{width - _PADDING:.1f}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_text(port.name)}</text>"
        )


def _values(box: Box, width: float) -> Iterator[str]:
    start = max(len(box.inputs), len(box.outputs))
    for row, (name, value) in enumerate(box.literals.items(), start):
        y = _HEAD + _ROW * (row + 0.5) + 4
        room = width - _LETTER * display_width(f"{name}: ")
        yield (
            f'<text class="port" x="{_PADDING}" y="{y:.1f}">{_text(name)}: '
            f'<tspan class="value">{_cut(value, room)}</tspan></text>'
        )


def _cut(text: str, width: float, letter: float = 1.0) -> str:
    """A text that fits into a box; what is cut off is told by its end."""
    room = int((width - 2 * _PADDING) / (_LETTER * letter))
    return _text(text if display_width(text) <= room else f"{text[: max(room - 1, 1)]}…")


def _text(text: str) -> str:
    return escape(strip_control_characters(text))


def _color(color: str) -> str:
    """A pack chooses its colours, but may not write into the file."""
    return escape(color)
