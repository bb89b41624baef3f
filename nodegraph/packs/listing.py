"""Node types as a list shows them, and specs that are read from a manifest one by one.

A pack may bring hundreds of node types, of which a workflow uses one and a list shows a line each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nodegraph.core.spec import NodeSpec, to_document

_WORD_END = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class ListedType:
    """What a list shows of a node type.

    Attributes:
        start, end: Where its spec lies in the lines of the manifest; both 0 elsewhere.
    """

    type: str
    pack: str = ""
    label: str = ""
    category: str = ""
    summary: str = ""
    deprecated: str = ""
    experimental: bool = False
    tags: tuple[str, ...] = ()
    start: int = 0
    end: int = 0


def is_in_category(row: ListedType, category: str) -> bool:
    """Whether a node type is in a category or in one below it."""
    wanted = category.strip("/").casefold()
    return f"{row.category.casefold()}/".startswith(f"{wanted}/")


def search_types(rows: Sequence[ListedType], search: str) -> list[ListedType]:
    """Node types of which a list shows each word of a search, in the order of `rows`."""
    matches = [row for row in rows if _has_words(row, search.casefold().split())]
    # Other tools name their nodes as one word of several: StringConcatenate.
    apart = _WORD_END.sub(" ", search).casefold().split()
    return matches or [row for row in rows if _has_words(row, apart)]


def _has_words(row: ListedType, words: Sequence[str]) -> bool:
    places = [row.type, row.label, row.category, row.summary, *row.tags]
    return all(any(word in text.casefold() for text in places) for word in words)


def listed_type(spec: NodeSpec) -> ListedType:
    """What a list shows of a node type whose spec is known."""
    return ListedType(
        type=spec.type,
        pack=spec.pack,
        label=spec.label,
        category=spec.category,
        summary=spec.summary,
        deprecated=spec.deprecated,
        experimental=spec.experimental,
        tags=spec.tags,
    )


def encode_specs(specs: Sequence[NodeSpec]) -> tuple[tuple[ListedType, ...], bytes]:
    """Specs as lines, and where each of them lies there."""
    rows, lines, start = [], [], 0
    for spec in specs:
        lines.append(json.dumps(to_document(spec)).encode() + b"\n")
        end = start + len(lines[-1])
        rows.append(replace(listed_type(spec), start=start, end=end))
        start = end
    return tuple(rows), b"".join(lines)


class SpecLines(Mapping[str, NodeSpec]):
    """Specs by node type, each read when it is first asked for; then it stays the same object.

    Args:
        rows, lines: As `written` gave them.
    """

    def __init__(self, rows: Sequence[ListedType], lines: bytes) -> None:
        self._rows = {row.type: row for row in rows}
        self._lines = lines
        self._read: dict[str, NodeSpec] = {}

    def __getitem__(self, node_type: str) -> NodeSpec:
        known = self._read.get(node_type)
        if known is None:
            row = self._rows[node_type]
            spec = NodeSpec.from_dict(json.loads(self._lines[row.start : row.end]))
            known = self._read.setdefault(node_type, spec)
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def rows(self) -> Sequence[ListedType]:
        """What a list shows of them; reads none."""
        return tuple(self._rows.values())
