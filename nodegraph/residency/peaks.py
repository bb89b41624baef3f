"""The most memory that was in use while something ran."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from nodegraph.residency.entries import HOST, device_name


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
    return _Gauge(
        lambda: int(cuda.memory_allocated(device)),
        lambda: int(cuda.max_memory_allocated(device)),
        lambda: cuda.reset_peak_memory_stats(device),
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
