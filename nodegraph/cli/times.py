"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime
from time import time


def format_time(moment: float) -> str:
    """A Unix time, where the reader is."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def format_age(moment: float) -> str:
    """How long ago a Unix time was, in one unit."""
    seconds = max(time() - moment, 0.0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
