"""A workflow as a Mermaid flowchart, which GitHub and many editors draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nodegraph.core.drawing.boxes import Arrow, Box, Drawing

_SPECIAL = str.maketrans({char: f"#{ord(char)};" for char in '#"<>&\n\r`|[]{}()\\'})


def mermaid(drawings: Sequence[Drawing]) -> str:
    """The flowchart's text; subgraphs become frames of their own."""
    lines = ["flowchart LR"]
    first, *blocks = drawings
    lines += _scope(first, "n")
    for at, block in enumerate(blocks):
        lines.append(f'  subgraph s{at}["{_text(block.title)}"]')
        lines += (f"  {line}" for line in _scope(block, f"s{at}n"))
        lines.append("  end")
    return "\n".join(lines)


def _scope(drawing: Drawing, prefix: str) -> Iterator[str]:
    ids = {name: f"{prefix}{at}" for at, name in enumerate(drawing.boxes)}
    for name, box in drawing.boxes.items():
        yield f"  {ids[name]}{_shape(box)}"
    for arrow in drawing.arrows:
        yield f"  {ids[arrow.source]} -->|{_label(arrow)}| {ids[arrow.target]}"


def _shape(box: Box) -> str:
    text = f'"{_text(box.title)}<br/><small>{_text(box.kind)}</small>"'
    return f"[[{text}]]" if box.is_block else f"[{text}]"


def _label(arrow: Arrow) -> str:
    if not arrow.output or arrow.output == arrow.input:
        return f'"{_text(arrow.input)}"'
    return f'"{_text(arrow.output)} #8594; {_text(arrow.input)}"'


def _text(text: str) -> str:
    return text.translate(_SPECIAL)
