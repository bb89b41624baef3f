"""Where native nodes stand, after where ComfyUI's stood."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from nodegraph.interop.comfyui.foreign import Frame, Rectangle

WIDTH, HEIGHT = 248.0, 140.0
"""Of a card whose size nobody tells."""
_GAP = 24.0
_CELL = 256.0
_FARTHEST = 1e6


@dataclass(frozen=True, slots=True)
class _Look:
    spot: Rectangle
    color: str
    is_collapsed: bool


class Canvas:
    """What stands where in one graph."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._cells: dict[tuple[int, int], list[Rectangle]] = {}
        self._beside: dict[str, list[str]] = {}
        self._groups: list[Frame] = []
        self._notes: list[Frame] = []
        self.ends: dict[str, Rectangle] = {}

    def put(
        self, name: str, spot: Rectangle, color: str = "", *, is_collapsed: bool = False
    ) -> None:
        """Say where a node stands."""
        self._looks[name] = _Look(_bounded(spot), color, is_collapsed)
        self._fill(_sized(_bounded(spot)))

    def put_beside(self, name: str, first: str) -> None:
        """Have a node stand near another one, wherever there is room in the end."""
        self._beside.setdefault(first, []).append(name)

    def frame(self, groups: Iterable[Frame], notes: Iterable[Frame] = ()) -> None:
        """Say what stands behind nodes, and between them."""
        self._groups += groups
        for note in notes:
            self._notes.append(note)
            self._fill(_sized(_bounded(note.bounds)))

    def layout(self, names: Collection[str]) -> dict[str, Any]:
        """As the editor reads it: `ui` of a workflow, or of one of its subgraphs."""
        for first, others in self._beside.items():
            self._place(first, others)
        self._beside.clear()
        looks = {name: self._looks[name] for name in names if name in self._looks}
        ui_layout: dict[str, Any] = {
            "positions": {name: _point(look.spot) for name, look in looks.items()},
            "sizes": {
                name: [round(look.spot.width)]
                for name, look in looks.items()
                if look.spot.width > 0 and not look.is_collapsed
            },
            "colors": {name: look.color for name, look in looks.items() if look.color},
            "collapsed": [name for name, look in looks.items() if look.is_collapsed],
            "groups": [_box(frame, "title", at) for at, frame in enumerate(self._groups)],
            "notes": [_box(frame, "text", at) for at, frame in enumerate(self._notes)],
            "ends": {end: _point(_bounded(spot)) for end, spot in self.ends.items()},
        }
        return {key: value for key, value in ui_layout.items() if value}

    def bottom(self) -> tuple[float, float]:
        """Left and lower edge of all there is."""
        spots = [_sized(look.spot) for look in self._looks.values()]
        if not spots:
            return 0.0, 0.0
        return min(spot.x for spot in spots), max(spot.y + spot.height for spot in spots)

    def _place(self, first: str, others: Iterable[str]) -> None:
        """Put nodes below the first one, one under the other, each where nothing stands."""
        look = self._looks.get(first)
        if look is None:
            return
        above = _sized(look.spot)
        for name in others:
            spot = Rectangle(above.x, above.y + above.height + _GAP, above.width, HEIGHT)
            while (taken := self._taken(spot)) is not None:
                spot = replace(spot, y=taken.y + taken.height + _GAP)
            self.put(name, replace(spot, height=0.0))
            above = spot

    def _fill(self, spot: Rectangle) -> None:
        for cell in _cells(spot):
            self._cells.setdefault(cell, []).append(spot)

    def _taken(self, spot: Rectangle) -> Rectangle | None:
        """What stands there already."""
        for cell in _cells(spot):
            for other in self._cells.get(cell, ()):
                if _overlap(spot, other):
                    return other
        return None


def _cells(spot: Rectangle) -> Iterable[tuple[int, int]]:
    # Huge things fill the cells at their corner only: a limit for hostile files.
    columns = range(int(spot.x // _CELL), int((spot.x + min(spot.width, 4096)) // _CELL) + 1)
    rows = range(int(spot.y // _CELL), int((spot.y + min(spot.height, 4096)) // _CELL) + 1)
    return [(column, row) for column in columns for row in rows]


def _overlap(spot: Rectangle, other: Rectangle) -> bool:
    return (
        spot.x < other.x + other.width
        and other.x < spot.x + spot.width
        and spot.y < other.y + other.height
        and other.y < spot.y + spot.height
    )


def _sized(spot: Rectangle) -> Rectangle:
    return replace(spot, width=spot.width or WIDTH, height=spot.height or HEIGHT)


def _bounded(spot: Rectangle) -> Rectangle:
    values = (spot.x, spot.y, spot.width, spot.height)
    x, y, width, height = (
        max(-_FARTHEST, min(value, _FARTHEST)) if isfinite(value) else 0.0 for value in values
    )
    return Rectangle(x, y, max(width, 0.0), max(height, 0.0))


def _point(spot: Rectangle) -> list[int]:
    return [round(spot.x), round(spot.y)]


def _box(frame: Frame, key: str, at: int) -> dict[str, Any]:
    spot = _sized(_bounded(frame.bounds))
    box: dict[str, Any] = {"id": str(at + 1), key: frame.text}
    if frame.color:
        box["color"] = frame.color
    return box | {"box": [*_point(spot), round(spot.width), round(spot.height)]}
