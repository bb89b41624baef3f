"""What the stub beside this file tells editors and type checkers of the built-in node types.

At run time the node types are those that are installed, and port types are only for annotations:
nothing looks into those, so there is nothing in here.
"""

from __future__ import annotations

from typing import Any


class BuiltinNodes:
    """Node types as methods."""


def __getattr__(name: str) -> Any:
    """A port type, as the stub has one for each."""
    if not name[:1].isupper():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return Any
