"""How much memory this machine has, or the container or service that this process runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

SHARE = 0.85
"""Of the memory, that the worker processes of a server may take together."""

_WEIGHTS_SHARE = 0.6
"""Of the memory, for weights: the rest is for the work with them, results and others."""


class HostMemory(NamedTuple):
    """In bytes.

    Attributes:
        free: What can be taken; what the system keeps of files meanwhile counts as free.
    """

    free: int
    total: int


@lru_cache(maxsize=1)
def total_memory() -> int | None:
    """Bytes that there are in all, as `host_memory` tells; a limit counts as it was at first."""
    memory = host_memory()
    return None if memory is None else memory.total


def host_weights_budget() -> int | None:
    """Bytes of weights that are kept in the host's memory where no setting says how many."""
    total = total_memory()
    return None if total is None else int(total * _WEIGHTS_SHARE)


def host_memory(root: Path = Path("/")) -> HostMemory | None:
    """The machine's memory, or what control groups leave of it; None where it is unknown.

    Args:
        root: Folder below which the system's files lie.
    """
    memory = _machine_memory(root)
    if memory is None:
        return None
    for limit in _limits(root):
        memory = HostMemory(min(memory.free, limit.free), min(memory.total, limit.total))
    return memory


def _machine_memory(root: Path) -> HostMemory | None:
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = {
            name: int(amount.split()[0]) for name, _, amount in (x.partition(":") for x in lines)
        }
        return HostMemory(sizes["MemAvailable"] * 1024, sizes["MemTotal"] * 1024)
    except (OSError, ValueError, KeyError, IndexError):
        return _machine_memory_elsewhere()


def _machine_memory_elsewhere() -> HostMemory | None:
    """As far as systems other than Linux tell."""
    try:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
        return HostMemory(page * os.sysconf("SC_AVPHYS_PAGES"), page * total)
    except (AttributeError, OSError, ValueError):
        return None


class _Names(NamedTuple):
    """What a version of control groups calls its files, and the figures in `memory.stat`."""

    limits: tuple[str, ...]
    used: str
    files: tuple[str, ...]


_V1 = _Names(
    ("memory.limit_in_bytes",),
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)
_V2 = _Names(("memory.max", "memory.high"), "memory.current", ("active_file", "inactive_file"))


def _limits(root: Path) -> Iterator[HostMemory]:
    """What each control group that this process is in leaves it."""
    for mount, inside, names in _hierarchies(root):
        folder = mount / inside
        while True:
            limit = _group_memory(folder, names)
            if limit is not None:
                yield limit
            if folder == mount:
                break
            folder = folder.parent


def _hierarchies(root: Path) -> Iterator[tuple[Path, Path, _Names]]:
    """Where groups that bound memory are mounted, and this process's group in there.

    Source: cgroups(7) and proc_pid_mountinfo(5) of the Linux manual.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    parts = (line.split(":", 2) for line in groups)
    places = {part[1]: part[2] for part in parts if len(part) == 3}
    bounding = next((path for kinds, path in places.items() if "memory" in kinds.split(",")), None)
    for line in mounts:
        fields, _, about = line.partition(" - ")
        mounted, kinds = fields.split()[3:5], about.split()
        if len(mounted) < 2 or len(kinds) < 3:
            continue
        if kinds[0] == "cgroup2":
            group, names = places.get(""), _V2
        elif kinds[0] == "cgroup" and "memory" in kinds[2].split(","):
            group, names = bounding, _V1
        else:
            continue
        if group is not None:
            inside = os.path.relpath(group, mounted[0])
            # In a container the path may be one outside of it; its own group is mounted then.
            is_outside = inside.startswith("..")
            yield root / mounted[1].lstrip("/"), Path("." if is_outside else inside), names


def _group_memory(folder: Path, names: _Names) -> HostMemory | None:
    limits = [limit for name in names.limits if (limit := _number(folder / name)) is not None]
    used = _number(folder / names.used)
    if not limits or used is None:
        return None
    limit = min(limits)
    return HostMemory(max(0, min(limit, limit - used + _of_files(folder, names))), limit)


def _of_files(folder: Path, names: _Names) -> int:
    """Bytes that the system holds of files, and gives up when they are needed."""
    try:
        rows = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
        return sum(int(value) for name, value in rows if name in names.files)
    except (OSError, ValueError):
        return 0


def _number(path: Path) -> int | None:
    """What a file says; None if it isn't there or says ``max``."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
