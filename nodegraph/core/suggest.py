"""Did you mean: the nearest of some valid names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_COMPARED = 2000


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name most like `name`, compared without case; None if nothing is near.

    Among very many names, only one that differs in nothing but case is found.
    """
    by_folded = {candidate.casefold(): candidate for candidate in names}
    if len(by_folded) > _MOST_COMPARED:
        return by_folded.get(name.casefold())
    found = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str], *, listed: int = 8) -> str:
    """A hint: the nearest name, or the valid ones where none is near.

    Args:
        listed: How many valid names to list at most.
    """
    candidates = sorted(set(names))
    close = nearest(name, candidates)
    if close is not None:
        return f"Did you mean `{close}`?"
    if not candidates:
        return ""
    shown = ", ".join(candidates[:listed])
    more = f" and {len(candidates) - listed} more" if len(candidates) > listed else ""
    return f"Valid: {shown}{more}."
