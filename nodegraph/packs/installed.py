"""Which packs and entry points are installed, remembered from one start to the next.

Looking for entry points means opening a file of every installed distribution.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from nodegraph.core.digests import digest_bytes
from nodegraph.core.files import package_files, write_file
from nodegraph.errors import OutputError
from nodegraph.packs.pack import Pack, installed_packs
from nodegraph.packs.snapshot import stamp_of

_LAST: dict[str, list[Pack]] = {}
"""What was last found in this process, by its stamp: a new home folder begins with it."""


def remembered_packs(file: Path) -> list[Pack]:
    """What `installed_packs` finds, without looking again if nothing was installed since.

    Args:
        file: Where it is remembered.
    Raises:
        PackError: See `installed_packs`.
    """
    stamp = _distributions_stamp()
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
        for point, value in _remembered_points(group, file)
    ]
    return digest_bytes("\n".join(lines).encode("utf-8", "surrogateescape")) if lines else ""


def _remembered_points(group: str, file: Path | None) -> list[_Point]:
    """The entry points of a group."""
    stamp = _distributions_stamp()
    groups: dict[str, list[_Point]] = {}
    try:
        known: Any = json.loads(file.read_bytes()) if file is not None else {}
        if known["stamp"] == stamp:
            groups = {
                name: [_Point(*row) for row in rows] for name, rows in known["groups"].items()
            }
            return groups[group]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass  # missing, of other packages, or written by another version: it is made anew
    from nodegraph.core.entry_points import entry_points, package_of

    points = [
        _Point(" ".join((point.name, *package_of(point))), point.value)
        for point in entry_points(group)
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
        label: Its name and its package's, with the version.
        value: What it names.
    """

    label: str
    value: str


def _code_stamp(module: str) -> str:
    """Changes when a Python file of the package that a module lies in does."""
    return " ".join(f"{file} {tuple(stamp_of(file) or ())}" for file in package_files(module))


def _are_there(packs: list[Pack]) -> bool:
    return all(pack.root.exists() for pack in packs)


def _distributions_stamp() -> str:
    """Changes when a distribution comes or goes where Python looks for them, and when the entry
    points of one are written anew in place, as by hand."""
    parts = [sys.version, *(f"{folder} {_changed(folder)}" for folder in sys.path)]
    return digest_bytes("\n".join(parts).encode("utf-8", "surrogateescape"))


def _changed(folder: str) -> str:
    """Changes when something is added to a folder or removed from it, and with the entry points
    of the distributions in it."""
    lines = [str(_mtime(folder or "."))]
    try:
        with os.scandir(folder or ".") as items:
            for item in items:
                name = item.name.lower()
                if name.endswith((".dist-info", ".egg-info")) or name == "egg-info":
                    lines.append(f"{name} {stamp_of(f'{item.path}/entry_points.txt')}")
    except OSError:
        pass  # an archive, or nothing
    return " ".join(sorted(lines))


def _mtime(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _read(file: Path, stamp: str) -> list[Pack] | None:
    try:
        document: Any = json.loads(file.read_bytes())
        if document["stamp"] != stamp:
            return None
        packs = [
            Pack(name, package, Path(root), version, distribution)
            for name, package, root, version, distribution in document["packs"]
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return None  # missing, or written by another version: it is made anew
    return packs if _are_there(packs) else None
