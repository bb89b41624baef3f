"""How much memory there is on a device, and handing back what the framework holds in reserve.

Nothing here imports torch: where it isn't loaded, it holds nothing either.
"""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.residency.entries import HOST


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a device, in bytes."""

    free: int
    total: int


def memory_of(device: str) -> Memory | None:
    """What a device has; None where it can't be told."""
    if device == HOST:
        return _host_memory()
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info(device)
    # What the allocator keeps in reserve is free to those who use the allocator.
    spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return Memory(free + spare, total)


def free_bytes(device: str) -> int | None:
    """Bytes that may be taken on a device; None where it can't be told."""
    found = memory_of(device)
    return None if found is None else found.free


def empty_reserves(device: str) -> None:
    """Free what nobody uses any more: cyclic garbage, then what the framework keeps for later."""
    # A failed call's traceback holds its frames in a cycle, and those the tensors in them.
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    if device.startswith("cuda") and torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif device.startswith("mps") and torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _host_memory() -> Memory | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        return Memory(sizes["MemAvailable"] * 1024, sizes["MemTotal"] * 1024)
    except (OSError, ValueError, KeyError, IndexError):
        return _host_memory_elsewhere()


def _host_memory_elsewhere() -> Memory | None:
    """As far as systems other than Linux tell."""
    try:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
        return Memory(page * os.sysconf("SC_AVPHYS_PAGES"), page * total)
    except (AttributeError, OSError, ValueError):
        return None
