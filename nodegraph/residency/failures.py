"""Errors that say that memory ran out: telling them from others, and explaining them."""

from __future__ import annotations

import re

from nodegraph.errors import NodegraphError
from nodegraph.residency.memory import memory_of, tensor_bytes

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
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_FACTORS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50, "e": 2**60}


class OutOfMemory(NodegraphError):
    """What was asked for doesn't fit into the memory of a device."""

    code = "out-of-memory"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that memory ran out."""
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        if isinstance(error, (MemoryError, OutOfMemory)) or _says_so(error):
            return True
        error = error.__cause__
    return False


def explain_out_of_memory(error: BaseException, device: str, held: int) -> OutOfMemory:
    """What was needed and what there was.

    Args:
        error: Says that memory ran out.
        held: Bytes of weights on the device.
    """
    if isinstance(error, OutOfMemory):
        return error
    needed = missing_bytes(error)
    shortfall = (
        f"{size_text(needed)} more were needed" if needed else "more was needed than there is"
    )
    explanation = OutOfMemory(
        f"out of memory on {device}: {shortfall}; {describe_usage(device, held)}",
        hint="Make smaller pictures or fewer at once, load the model with a smaller dtype, or "
        "close other programs on that device.",
    )
    explanation.__cause__ = error
    return explanation


def describe_usage(device: str, held: int) -> str:
    """Who has how much of a device's memory, in words.

    Args:
        held: Bytes of weights there.
    """
    weights = f"weights hold {size_text(held)}"
    there, tensors = memory_of(device), tensor_bytes(device)
    if there is None:
        return weights
    taken = there.total - there.free
    others = {"all else": taken - held}
    if tensors is not None:
        # The driver's part can't be told from that of other processes.
        others = {"other tensors": tensors - held, "other programs and the driver": taken - tensors}
    free = f"{size_text(there.free)} of {size_text(there.total)} are free"
    more = [f"{who} {size_text(size)}" for who, size in others.items() if size > 0]
    return ", ".join([free, weights, *more])


def size_text(size: int) -> str:
    """Bytes as people read them, such as ``1.5 MiB`` or ``20.0 KiB``."""
    if size < 2**10:
        return f"{size} bytes"
    step = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 2 ** (10 * step):,.1f} {_UNITS[step - 1]}"


def _says_so(error: BaseException) -> bool:
    # torch.OutOfMemoryError is told by name, as this module doesn't import torch.
    if type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _SAYINGS)


def missing_bytes(error: BaseException | None) -> int:
    """Bytes that could not be had, if an error tells; else 0."""
    while error is not None:
        match = _AMOUNT.search(str(error))
        if match:
            return int(float(match[1]) * _FACTORS[match[2][0].lower()])
        error = error.__cause__
    return 0
