"""Label values that can't become endlessly many: each one takes memory here and in Prometheus."""

from __future__ import annotations

OTHER = "other"


class Bounded:
    """Lets the first so many values through; all later ones are one.

    Args:
        most: Values that are told apart.
        known: Those that always are.
    """

    def __init__(self, most: int, known: tuple[str, ...] = ()) -> None:
        self._most = most
        self._known = dict.fromkeys(known)

    def __call__(self, value: str) -> str:
        """The value, or that of all others."""
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known[value] = None
        return value
