"""Which packs and entry points are installed, remembered from one start to the next.

Looking for entry points means opening a file of every installed distribution.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import package_files, write_file
from nodegraph.errors import OutputError
from nodegraph.packs.pack import Pack, installed_packs
from nodegraph.packs.snapshot import stamp_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

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


@cache
def points_stamp(group: str, file: Path | None) -> str:
    """Changes with the entry points of a group, their packages' versions and these packages' code.

    Empty if there are none. A process keeps the first answer, as it also keeps the modules that it
    has imported of these packages.

    Args:
        file: Where the entry points are remembered; None looks for them again.
    """
    lines = [
        f"{point} {value} {_code_stamp(value.partition(':')[0])}"
        for point, value, _, _ in _remembered_points(group, file)
    ]
    return digest_bytes("\n".join(lines).encode("utf-8", "surrogateescape")) if lines else ""


def _remembered_points(group: str, file: Path | None) -> list[_Point]:
    """The entry points of a group."""
    stamp = _stamp()
    groups: dict[str, list[_Point]] = {}
    try:
        known: Any = json.loads(file.read_bytes()) if file is not None else {}
        if known["stamp"] == stamp:
            groups = {
                name: [_Point(*row) for row in rows] for name, rows in known["groups"].items()
            }
            if all(point.written == _written(point.metadata) for point in groups[group]):
                return groups[group]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # missing, of other packages, or written by another version: it is made anew
    from importlib.metadata import entry_points

    brought = sorted(entry_points(group=group), key=lambda point: (point.name, point.value))
    points = [
        _Point(f"{point.name} {_release(point)}", point.value, folder, _written(folder))
        for point in brought
        for folder in [str(getattr(point.dist, "_path", ""))]
    ]
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            data = json.dumps({"stamp": stamp, "groups": {**groups, group: points}}).encode()
            write_file(file, data, durable=False)
        except (OSError, OutputError):
            pass  # an unwritable cache costs time, not results
    return points


class _Point(NamedTuple):
    """An entry point.

    Attributes:
        told: Its name and its package's, with the version.
        value: What it names.
        metadata: Folder that says so; empty if it isn't known.
        written: Stamp of that folder's file of entry points.
    """

    told: str
    value: str
    metadata: str
    written: str


def _written(metadata: str) -> str:
    return f"{stamp_of(Path(metadata) / 'entry_points.txt')}" if metadata else ""


def _release(point: EntryPoint) -> str:
    package = point.dist
    return "" if package is None else f"{package.name} {package.version}"


def _code_stamp(module: str) -> str:
    """Changes when a Python file of the package that a module lies in does."""
    return " ".join(f"{file} {tuple(stamp_of(file) or ())}" for file in package_files(module))


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
