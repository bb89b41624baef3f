"""Folders that are disks of their own, or look like it: they can't be renamed."""

from __future__ import annotations

import re
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mount_points() -> frozenset[Path]:
    """All that this process sees; none where the system doesn't list them.

    Unlike `Path.is_mount`, it has folders too that were bound there from the same disk, as
    containers have them.
    """
    try:
        lines = _TABLE.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(Path(_plain(fields[4])) for line in lines if len(fields := line.split()) > 4)


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
