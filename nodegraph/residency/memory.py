"""Memory of devices: what is free, what a call took at its peak, errors when it runs out.

Nothing here imports torch: a process that hasn't loaded it holds no tensors.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from nodegraph.core.host_memory import HostMemory, host_memory
from nodegraph.core.text_format import format_size
from nodegraph.errors import NodegraphError
from nodegraph.residency.placements import HOST, device_name


@dataclass(slots=True)
class MemoryPeak:
    """What a measured part took beyond what was in use when it began.

    Attributes:
        bytes: Set once it is over; None where it can't be measured.
    """

    bytes: int | None = None


@dataclass(slots=True, eq=False)
class _Span:
    start: int
    peak: int


class _Gauge:
    """A system's one high-water mark, shared by measurements that overlap.

    Each measurement sets the mark back to what is in use; those that run already note it before.
    What others take at the same time counts for each of them.
    """

    def __init__(
        self, used: Callable[[], int], highest: Callable[[], int], reset: Callable[[], None]
    ) -> None:
        self._used = used
        self._highest = highest
        self._reset = reset
        self._spans: set[_Span] = set()
        self._lock = Lock()

    def start(self) -> _Span:
        with self._lock:
            if self._spans:
                self._note()
            self._reset()
            used = self._used()
            span = _Span(used, used)
            self._spans.add(span)
            return span

    def stop(self, span: _Span) -> int:
        with self._lock:
            self._note()
            self._spans.discard(span)
            return span.peak - span.start

    def _note(self) -> None:
        highest = self._highest()
        for span in self._spans:
            span.peak = max(span.peak, highest)


_GAUGES: dict[str, _Gauge | None] = {}
# State of the process, as the marks are the process's own.


@contextmanager
def measuring(device: str) -> Iterator[MemoryPeak]:
    """Measure the memory that the inside of the `with` takes at its peak.

    On the CPU it is what the whole process takes, where the system tells (Linux); on CUDA what
    torch allocates.
    """
    peak = MemoryPeak()
    gauge = _gauge(device_name(device))
    if gauge is None:
        yield peak
        return
    span = gauge.start()
    try:
        yield peak
    finally:
        peak.bytes = gauge.stop(span)


def _gauge(device: str) -> _Gauge | None:
    if device == HOST:
        return _host_gauge()
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return None
    if device not in _GAUGES:
        _GAUGES[device] = _cuda_gauge(torch.cuda, device)
    return _GAUGES[device]


def _cuda_gauge(cuda: Any, device: str) -> _Gauge:
    def reset() -> None:
        # Before the process first uses CUDA there is no mark, and torch raises. Nothing is
        # allocated then either, so the mark that CUDA starts with is right.
        if cuda.is_initialized():
            cuda.reset_peak_memory_stats(device)

    return _Gauge(
        lambda: int(cuda.memory_allocated(device)),
        lambda: int(cuda.max_memory_allocated(device)),
        reset,
    )


def _host_gauge() -> _Gauge | None:
    if HOST not in _GAUGES:
        _GAUGES[HOST] = _Gauge(_host_used, _host_highest, _reset_host) if _host_tells() else None
    return _GAUGES[HOST]


def _host_tells() -> bool:
    try:
        _reset_host()
        return 0 < _host_used() <= _host_highest()
    except (OSError, ValueError, IndexError):
        return False


def _host_used() -> int:
    # Files are opened anew each time: after a fork, an open one is still about the parent.
    return int(_read("/proc/self/statm").split()[1]) * _PAGE


def _host_highest() -> int:
    status = _read("/proc/self/status")
    return int(status[status.index(b"VmHWM:") + 6 :].split(maxsplit=1)[0]) * 1024


def _reset_host() -> None:
    # 5 sets the process's highest resident size to the present one: proc(5).
    file = os.open("/proc/self/clear_refs", os.O_WRONLY)
    try:
        os.write(file, b"5")
    finally:
        os.close(file)


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


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
        f"{format_size(needed)} more were needed" if needed else "more was needed than there is"
    )
    explanation = OutOfMemory(
        f"out of memory on {device}: {shortfall}; {describe_usage(device, held)}",
        hint="Use a smaller image or a smaller batch, load the model with a smaller dtype, or "
        "close other programs on that device.",
    )
    explanation.__cause__ = error
    return explanation


def describe_usage(device: str, held: int) -> str:
    """Who has how much of a device's memory, in words.

    Args:
        held: Bytes of weights there.
    """
    weights = f"weights hold {format_size(held)}"
    there, tensors = memory_of(device), tensor_bytes(device)
    if there is None:
        return weights
    taken = there.total - there.free
    others = {"all else": taken - held}
    if tensors is not None:
        # The driver's part can't be told from that of other processes.
        others = {"other tensors": tensors - held, "other programs and the driver": taken - tensors}
    free = f"{format_size(there.free)} of {format_size(there.total)} are free"
    more = [f"{who} {format_size(size)}" for who, size in others.items() if size > 0]
    return ", ".join([free, weights, *more])


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
