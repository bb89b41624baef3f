"""How much memory there is on a device, and handing back what the framework holds in reserve.

Nothing here imports torch: where it isn't loaded, it holds nothing either.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from nodegraph.core.host_memory import HostMemory, host_memory
from nodegraph.residency.entries import HOST


def memory_of(device: str) -> HostMemory | None:
    """What a device has; None where it can't be told."""
    if device == HOST:
        return host_memory()
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info(device)
    # What the allocator keeps in reserve is free to those who use the allocator.
    spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return HostMemory(free + spare, total)


def has_own_memory(device: str) -> bool:
    """Whether a device has a memory of its own, that weights at the host take nothing of.

    What MPS computes with is the host's memory, wherever it is said to lie.
    """
    return device.startswith("cuda")


def tensor_bytes(device: str) -> int | None:
    """What this process's tensors take on an accelerator; None where it can't be told."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    return int(torch.cuda.memory_allocated(device))


def free_bytes(device: str) -> int | None:
    """Bytes that may be taken on a device; None where it can't be told."""
    memory = memory_of(device)
    return None if memory is None else memory.free


def empty_reserves(device: str) -> None:
    """Free what nobody uses any more: cyclic garbage, then what the framework keeps for later."""
    # A failed call's traceback holds its frames in a cycle, and those the tensors in them.
    gc.collect()
    if device == HOST:
        _trim_heap()
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return
    if device.startswith("cuda") and torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif device.startswith("mps") and torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _trim_heap() -> None:
    """Give freed memory back to the system where the C library keeps it, as glibc does."""
    if sys.platform == "linux":
        import ctypes  # memory runs out seldom

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
