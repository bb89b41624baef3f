"""Which packs are installed, remembered from one start to the next.

Looking for entry points means opening a file of every installed distribution.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import write_file
from nodegraph.errors import OutputError
from nodegraph.packs.pack import Pack, installed_packs

_LAST: dict[str, list[Pack]] = {}
"""What was last found in this process, by its stamp: a new home folder begins with it."""


def remembered_packs(file: Path) -> list[Pack]:
    """What `installed_packs` finds, without looking again if nothing was installed since.

    Args:
        file: Where it is remembered.
    Raises:
        PackError: See `installed_packs`.
    """
    stamp = _stamp()
    known = _read(file, stamp)
    if known is not None:
        return known
    packs = _LAST.get(stamp, [])
    if not (packs and _are_there(packs)):
        packs = installed_packs()
        _LAST.clear()
        _LAST[stamp] = packs
    rows = [[str(part) for part in astuple(pack)] for pack in packs]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps({"stamp": stamp, "packs": rows}).encode()
        write_file(file, data, durable=False)
    except (OSError, OutputError):
        pass  # an unwritable cache costs time, not results
    return packs


def _are_there(packs: list[Pack]) -> bool:
    return all(pack.root.exists() for pack in packs)


def _stamp() -> str:
    """Changes when a distribution is added to or removed from where Python looks for them."""
    parts = [sys.version, *(f"{place} {_changed(place)}" for place in sys.path)]
    return digest_bytes("\n".join(parts).encode("utf-8", "surrogateescape"))


def _changed(place: str) -> int:
    """When something was last added to a folder or removed from it."""
    try:
        return Path(place).stat().st_mtime_ns
    except OSError:
        return 0


def _read(file: Path, stamp: str) -> list[Pack] | None:
    try:
        found: Any = json.loads(file.read_bytes())
        if found["stamp"] != stamp:
            return None
        packs = [
            Pack(name, package, Path(root), version, distribution)
            for name, package, root, version, distribution in found["packs"]
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return None  # missing, or written by another version: it is made anew
    return packs if _are_there(packs) else None
