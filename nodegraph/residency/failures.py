"""Errors that say that memory ran out: telling them from others, and explaining them."""

from __future__ import annotations

import re

from nodegraph.errors import NodegraphError
from nodegraph.residency.memory import memory_of

_SAYINGS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Parts of what torch raises as a plain RuntimeError: for the CPU, for MPS, and by libraries."""

_AMOUNT = re.compile(r"allocate ([\d.]+) ?(bytes|B|[KMGTPE]i?B)", re.IGNORECASE)
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50, "e": 2**60}


class OutOfMemory(NodegraphError):
    """What was asked for doesn't fit into the memory of a device."""

    code = "out-of-memory"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that memory ran out."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, (MemoryError, OutOfMemory)) or _says_so(error):
            return True
        error = error.__cause__
    return False


def explained(error: BaseException, device: str, held: int) -> OutOfMemory:
    """What was needed and what there was.

    Args:
        error: Says that memory ran out.
        held: Bytes of weights on the device.
    """
    if isinstance(error, OutOfMemory):
        return error
    needed, there = _needed(error), memory_of(device)
    asked = f"{mebibytes(needed)} more were needed" if needed else "more was needed than there is"
    free = (
        "" if there is None else f"{mebibytes(there.free)} of {mebibytes(there.total)} are free, "
    )
    return OutOfMemory(
        f"out of memory on {device}: {asked}; {free}weights hold {mebibytes(held)}",
        hint="Make smaller pictures or fewer at once, load the model with a smaller dtype, or "
        "close other programs on that device.",
    )


def mebibytes(size: int) -> str:
    """A size as text."""
    return f"{size / 2**20:.1f} MiB"


def _says_so(error: BaseException) -> bool:
    # torch.OutOfMemoryError is told by name, as this module doesn't import torch.
    if type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _SAYINGS)


def _needed(error: BaseException | None) -> int:
    """Bytes that could not be had, if the error tells; else 0."""
    while error is not None:
        found = _AMOUNT.search(str(error))
        if found:
            return int(float(found[1]) * _UNITS[found[2][0].lower()])
        error = error.__cause__
    return 0
