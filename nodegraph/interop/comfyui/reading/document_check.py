"""Type checks and limits for parts of a foreign JSON document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.errors import InvalidFile
from nodegraph.interop.comfyui.foreign_workflow import Rectangle

MAX_NODES = 100_000
"""Nodes of a file, all its blocks together. The largest that people draw have some thousands."""
MAX_LINKS = 500_000
"""Links of a file, likewise."""
_DEEPEST = 200
"""Lists and objects within each other; what goes through all of them may call itself for each."""
_MAX_TOLD = 100
_MAX_SHOWN = 60


@dataclass
class DocumentCheck:
    """Checks parts of one file, and collects what people are told about it.

    Of a great deal, the first messages are kept, and how many more there were.

    Attributes:
        name: Where the file comes from, for errors.
    """

    name: str = ""
    _messages: list[str] = field(default_factory=list)
    _more: int = 0
    _nodes: int = 0
    _links: int = 0

    def warn(self, message: str) -> None:
        if len(self._messages) < _MAX_TOLD:
            self._messages.append(message)
        else:
            self._more += 1

    @property
    def warnings(self) -> tuple[str, ...]:
        more = (f"and {self._more} more of this kind",) if self._more else ()
        return (*self._messages, *more)

    def invalid_file(self, message: str, value: Any = None, hint: str | None = None) -> InvalidFile:
        """An error about the file."""
        where = f"{self.name}: " if self.name else ""
        return InvalidFile(where + message, given=_kind(value), hint=hint)

    def count(self, nodes: Any, links: Any = ()) -> None:
        """Note lists of nodes and links that are going to be read.

        Raises:
            InvalidFile: The file holds more of them than are read.
        """
        self._nodes += len(nodes) if isinstance(nodes, (list, dict)) else 0
        self._links += len(links) if isinstance(links, list) else 0
        if self._nodes > MAX_NODES:
            raise self.invalid_file(
                f"it holds {self._nodes:,} nodes; at most {MAX_NODES:,} are supported"
            )
        if self._links > MAX_LINKS:
            raise self.invalid_file(
                f"it holds {self._links:,} links; at most {MAX_LINKS:,} are supported"
            )

    def depth(self, document: Any) -> None:
        """See that lists and objects aren't nested too deeply.

        Raises:
            InvalidFile: They are.
        """
        level = [document]
        for _ in range(_DEEPEST):
            parts = (
                container.values() if isinstance(container, dict) else container
                for container in level
            )
            level = [item for part in parts for item in part if isinstance(item, (dict, list))]
            if not level:
                return
        raise self.invalid_file("the JSON is nested too deeply")

    def fields(self, value: Any, what: str) -> dict[str, Any]:
        """An object; an empty one where nothing is written."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.invalid_file(f"{what} must be an object", value)
        return value

    def items(self, value: Any, what: str) -> Sequence[Any]:
        """A list; an empty one where nothing is written."""
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.invalid_file(f"{what} must be a list", value)
        return value

    def identity(self, value: Any, what: str) -> str:
        """An id, which is a number in some files and text in others."""
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self.invalid_file(
            f"{what} must be a whole number or text", _Nothing if value is None else value
        )

    def whole(self, value: Any, what: str) -> int:
        """A number of a slot."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        raise self.invalid_file(
            f"{what} must be a whole number from 0", _Nothing if value is None else value
        )


class _Nothing:
    """Stands for null, where None means that nothing is to be shown."""


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if value is _Nothing:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return printable(repr(value))


def printable(text: str) -> str:
    """A text from a file as messages may show it: short, and without control characters."""
    cut = text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)


def text_of(value: Any) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def read_rectangle(*corners: Any) -> Rectangle | None:
    """Where something stands, by position and size; None if that can't be made out.

    Args:
        corners: One list of four numbers, or two of two, which old files write as objects.
    """
    numbers = [number for corner in corners for number in _numbers(corner)]
    if len(numbers) < 2:
        return None
    x, y, width, height = (*numbers, 0.0, 0.0)[:4]
    return Rectangle(x, y, max(width, 0.0), max(height, 0.0))


def _numbers(corner: Any) -> list[float]:
    if isinstance(corner, dict):
        corner = [corner.get("0"), corner.get("1")]
    if not isinstance(corner, list):
        return []
    numbers = [_finite(number) for number in corner[:4]]
    return [number for number in numbers if number is not None]


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
