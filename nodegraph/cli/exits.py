"""Exit codes, and what ends a command without being a fault."""

from __future__ import annotations

FINE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130


class ReaderGone(Exception):
    """Nobody reads stdout any more. Typer would take the OSError itself for a failure."""
