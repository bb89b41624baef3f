"""How many bytes a component needs, and how it needs fewer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nodegraph.core.values import Recipe


@dataclass(frozen=True, slots=True)
class Compact:
    """How components lie in the host's memory in fewer bytes, for more time at each use.

    Attributes:
        load: Makes a recipe's component so. Its results are those of the usual one.
        size: Bytes that it takes then; None where it can't be so, or would take no fewer.
    """

    load: Callable[[Recipe], Any]
    size: Callable[[Recipe], int | None]


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a component will take at a place, before it is there.

    Attributes:
        full: As it usually is; 0 if unknown.
        compact: In fewer bytes; None if that can't be.
        free: What memory has left there; None where that isn't known.
    """

    full: int
    compact: int | None
    free: int | None

    def bytes(self, *, is_compact: bool) -> int:
        """What it will take, one way or the other."""
        return self.full if self.compact is None or not is_compact else self.compact
