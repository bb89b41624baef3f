"""Memory that the main process and the process of a pack share, for the tensors of messages.

Each side has a pool: a file without a name that both map. It copies a tensor into a block of its
pool, and the other side's tensor is a view of that block, so one copy is made at most. A result
that the main process has of the pack's pool goes back there as a mere reference.

Nobody sees what others write. A block that was written for the other side is that side's alone. A
block that comes back is in use on both sides: it is mapped so that the system copies each page
that is written (copy on write), and such pages are given up with the view. The process of a pack
may write into all that it gets, so what it returns is always copied.

A block is used again once the other side's tensors are collected. For each reference, the file's
first part has a byte that the receiver sets to 0: no message and no lock, so this may happen in any
thread at any time. Fresh memory costs five times what used memory does. So free blocks are kept,
and a thread prepares as much memory behind a large new block as that has.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from _thread import start_new_thread
from bisect import bisect_right, insort
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Lock
from typing import Any
from weakref import finalize

LEAST = 16 << 10
"""Bytes of a tensor from which on it goes through shared memory."""
_TICKETS = 1 << 16
"""References that the other side may hold at once; one byte each at the beginning of the file."""
_CHUNK = 64 << 20
"""Bytes by which a pool grows at least. Each chunk is mapped by itself, so nothing ever moves."""
_ALIGNMENT = max(4096, mmap.PAGESIZE)
_MOST_KEPT = 1 << 30
"""Bytes of free memory that a pool keeps for later messages."""
_LARGE = 1 << 20
"""Bytes of a block from which on memory is prepared for the next one."""
_POPULATE_WRITE = 23
"""MADV_POPULATE_WRITE of madvise(2), from Linux 5.14 on."""
_IN_FILE = bytes(flags for flags in range(256) if not flags >> 6 or flags >> 5 & 1)
"""Upper bytes of entries in /proc/self/pagemap of pages that nobody wrote to: bits 63 and 62 are
set of a page that there is, and bit 61 of one that is still the file's."""
Location = list[int]
"""Where a block lies: start and length of its chunk, offset in the file, bytes."""


def new_file() -> int | None:
    """A file without a name, as a descriptor; None where the system has none to pass on."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("nodegraph", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            # A reader of a file that shrank would crash.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        else:
            folder = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - it has no name
            with tempfile.TemporaryFile(dir=folder) as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _TICKETS)
    except OSError:
        return None
    return descriptor


class _Mapped:
    """A file as this process maps it, chunk by chunk."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.tickets = mmap.mmap(descriptor, _TICKETS)
        self._chunks: dict[tuple[int, int], tuple[mmap.mmap, int]] = {}

    def chunk(self, start: int, length: int, layer: int = 0) -> tuple[mmap.mmap, int]:
        """A part of the file, and its address.

        Args:
            layer: 0 to share what is written there; others keep it to themselves.
        Raises:
            ValueError, OSError: The file has no such part.
        """
        known = self._chunks.get((start, layer))
        if known is None:
            if self.descriptor < 0:
                raise ValueError("the memory is given up")
            flags = mmap.MAP_PRIVATE if layer else mmap.MAP_SHARED
            mapped = mmap.mmap(self.descriptor, length, flags, offset=start)
            address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
            known = self._chunks.setdefault((start, layer), (mapped, address))
        return known

    def buffer(self, location: Location, layer: int = 0) -> Any:
        """A view of a block. What is made of it keeps it alive.

        Raises:
            ValueError: The block is not in its chunk.
        """
        start, length, offset, size = location
        if not (start <= offset and offset + size <= start + length and size > 0):
            raise ValueError("a block outside of its memory")
        mapped, _ = self.chunk(start, length, layer)
        return (ctypes.c_ubyte * size).from_buffer(mapped, offset - start)

    def location(self, address: int, size: int) -> Location | None:
        """Where some bytes of this process's memory lie in the file; None if they do not."""
        for (start, _), (mapped, base) in self._chunks.copy().items():
            if base <= address and address + size <= base + len(mapped):
                return [start, len(mapped), start + address - base, size]
        return None

    def close(self) -> None:
        """Give up the file; memory goes once nothing refers to it."""
        # The system may give the number to another file.
        descriptor, self.descriptor = self.descriptor, -1
        os.close(descriptor)
        self._chunks.clear()


@dataclass(eq=False, slots=True)
class _Block:
    """A part of a pool.

    Attributes:
        offset: In the file.
        ticket: Of the reference that the other side got; -1 once it let go of that.
        holds: Layers of this side's own views: one each, so that none sees what others write.
    """

    chunk: int
    offset: int
    size: int
    ticket: int = -1
    holds: dict[int, int] = field(default_factory=dict)


class OwnPool:
    """The pool that this side writes to. Safe to use from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._file = _Mapped(descriptor)
        self._lengths: dict[int, int] = {}
        self._end = _TICKETS
        self._touched: dict[int, int] = {}
        self._used: dict[int, list[_Block]] = {}
        self._free_tickets = list(range(_TICKETS))
        self._holds = count()
        self._lock = Lock()

    def allocate(self, size: int) -> tuple[list[int], Any] | None:
        """A block for the other side, and the view to write it.

        Returns:
            The reference for the message: a ticket and a location. None if no memory is left.
        """
        with self._lock:
            self._reclaim()
            block = self._find(size) or self._grow(size)
            if block is None or not self._free_tickets:
                return None
            insort(self._used[block.chunk], block, key=_offset)
            self._prepare_next(block)
            ticket = block.ticket = self._free_tickets.pop()
            self._file.tickets[ticket] = 1
            location = [block.chunk, self._lengths[block.chunk], block.offset, size]
            return [ticket, *location], self._file.buffer(location)

    def hold(self, location: Location) -> Any:
        """A view of a block of this pool that the other side refers to and that it uses, too.

        Raises:
            ValueError: There is no such block.
        """
        with self._lock:
            block = self._block_at(location)
            if block is None or self._lengths.get(location[0]) != location[1]:
                raise ValueError("a block outside of its memory")
            if not sys.platform.startswith("linux"):  # others do not say what was written
                return bytearray(self._file.buffer(location))
            number, layers = next(self._holds), set(block.holds.values())
            layer = next(each for each in count(1) if each not in layers)
            start, length, offset, size = location
            try:
                chunk = self._file.chunk(start, length, layer)
            except OSError:  # the system promises no memory for what may be written
                return bytearray(self._file.buffer(location))
            block.holds[number] = layer
        buffer = self._file.buffer(location, layer)
        within = offset - start, size
        finalize(buffer, _drop, os.getpid(), block.holds, number, chunk, within).atexit = False
        return buffer

    @property
    def used(self) -> int:
        """Bytes of the blocks that are in use."""
        with self._lock:
            self._reclaim()
            return sum(block.size for blocks in self._used.values() for block in blocks)

    @property
    def capacity(self) -> int:
        """Bytes of all its chunks."""
        return sum(self._lengths.values())

    def withdraw(self, reference: list[int]) -> None:
        """Take back a reference that was not sent."""
        self._file.tickets[reference[0]] = 0

    def _block_at(self, location: Location) -> _Block | None:
        chunk, _, offset, size = location
        blocks = self._used.get(chunk, [])
        at = bisect_right(blocks, offset, key=_offset) - 1
        if at < 0 or offset + size > blocks[at].offset + blocks[at].size:
            return None
        return blocks[at]

    def _reclaim(self) -> None:
        tickets = self._file.tickets
        for chunk, blocks in self._used.items():
            over = [block for block in blocks if block.ticket >= 0 and not tickets[block.ticket]]
            for block in over:
                self._free_tickets.append(block.ticket)
                block.ticket = -1
            self._used[chunk] = [block for block in blocks if block.ticket >= 0 or block.holds]

    def _gaps(self, chunk: int) -> Iterator[tuple[int, int]]:
        """Where the free parts of a chunk begin and end."""
        at, end = chunk, chunk + self._lengths[chunk]
        for block in self._used[chunk]:
            if block.offset > at:
                yield at, block.offset
            at = _aligned(block.offset + block.size)
        if end > at:
            yield at, end

    def _find(self, size: int) -> _Block | None:
        """The first gap that is large enough: low ones are used most, and their memory is warm."""
        for chunk in self._lengths:
            for at, end in self._gaps(chunk):
                if end - at >= size:
                    return _Block(chunk, at, size)
        return None

    def _grow(self, size: int) -> _Block | None:
        length = max(_CHUNK, -(-size // (2 << 20)) * (2 << 20))
        start = self._end
        try:
            os.ftruncate(self._file.descriptor, start + length)
            self._file.chunk(start, length)
        except (OSError, ValueError):
            return None
        self._end = start + length
        self._lengths[start] = length
        self._touched[start], self._used[start] = start, []
        self._trim(_MOST_KEPT)
        return _Block(start, start, size)

    def _prepare_next(self, block: _Block) -> None:
        """Have memory behind a block prepared if that block is the first one there."""
        end = block.offset + block.size
        if end <= self._touched[block.chunk]:
            return
        self._touched[block.chunk] = end
        mapped, address = self._file.chunk(block.chunk, self._lengths[block.chunk])
        first = _aligned(end) - block.chunk
        size = min(block.size, len(mapped) - first)
        if block.size >= _LARGE and size > 0 and sys.platform.startswith("linux"):
            self._touched[block.chunk] = block.chunk + first + size
            with suppress(RuntimeError):  # there are too many threads
                # One of `threading` would be waited for until it runs.
                start_new_thread(_populate, (mapped, address + first, size))

    def trim(self, kept: int) -> None:
        """Give the system back the memory of what is free.

        Args:
            kept: Bytes that stay for the next messages.
        """
        with self._lock:
            self._reclaim()
            self._trim(kept)

    def _trim(self, kept: int) -> None:
        for chunk, length in self._lengths.items():
            for at, end in self._gaps(chunk):
                first, touched = _aligned(at + kept), self._touched[chunk]
                kept = max(0, kept - max(0, min(end, touched) - at))
                if first >= min(end, touched):
                    continue
                mapped, _ = self._file.chunk(chunk, length)
                _give_back(mapped, first - chunk, min(end, _aligned(touched)) - first)
                if end == chunk + length:
                    self._touched[chunk] = first

    def close(self) -> None:
        """Give up the pool: the other side is gone."""
        with self._lock:
            self._file.tickets[:] = bytes(_TICKETS)
            self._reclaim()
            self._trim(0)
            self._lengths.clear()
        self._file.close()


class OtherPool:
    """The pool that the other side writes to."""

    def __init__(self, descriptor: int) -> None:
        self._file = _Mapped(descriptor)
        self._views: dict[int, Location] = {}
        self._ended = Event()

    def take(self, reference: list[int]) -> Any:
        """A view of a block. Once nothing refers to it, the other side may use the block again.

        Raises:
            ValueError, OSError: There is no such block.
        """
        ticket, *location = reference
        if not 0 <= ticket < _TICKETS:
            raise ValueError("a block outside of its memory")
        buffer = self._file.buffer(location)
        mapped, _ = self._file.chunk(*location[:2])
        self._views[ticket] = location
        finalize(buffer, self._release, os.getpid(), ticket, mapped, location).atexit = False
        return buffer

    def _release(self, process: int, ticket: int, mapped: mmap.mmap, location: Location) -> None:
        # A process that a pack forked has the same views, and collects them by itself.
        if process != os.getpid():
            return
        self._views.pop(ticket, None)
        self._file.tickets[ticket] = 0
        if self._ended.is_set():
            start, _, offset, size = location
            _give_back(mapped, offset - start, _aligned(size))

    def location(self, address: int, size: int) -> Location | None:
        """Where some bytes lie in the pool; None if they do not."""
        return self._file.location(address, size)

    def close(self) -> None:
        """Give up the pool: the other side is gone. What is in use stays, and nothing else."""
        self._ended.set()
        length = os.fstat(self._file.descriptor).st_size - _TICKETS
        views = self._views.copy().values()
        used = sorted((offset - _TICKETS, size) for _, _, offset, size in views)
        at = 0
        with (
            suppress(OSError, ValueError, OverflowError),  # it is empty or damaged
            mmap.mmap(self._file.descriptor, length, offset=_TICKETS) as mapped,
        ):
            for offset, size in (*used, (length, 0)):
                _give_back(mapped, at, offset - at)
                at = max(at, _aligned(offset + size))
        self._file.close()


def _drop(
    process: int,
    holds: dict[int, int],
    number: int,
    chunk: tuple[mmap.mmap, int],
    within: tuple[int, int],
) -> None:
    if process != os.getpid():
        return
    mapped, address = chunk
    first = within[0] // _ALIGNMENT * _ALIGNMENT
    size = _aligned(sum(within)) - first
    if _is_written(address + first, size):
        mapped.madvise(mmap.MADV_DONTNEED, first, size)
    holds.pop(number, None)


def _give_back(mapped: mmap.mmap, start: int, size: int) -> None:
    """Have the system take back some pages of a file, from whoever maps it."""
    if size > 0 and hasattr(mmap, "MADV_REMOVE"):
        with suppress(OSError):  # files on a disk keep what they have
            mapped.madvise(mmap.MADV_REMOVE, start, size)


def _is_written(address: int, size: int) -> bool:
    """Whether some pages are no longer the file's; so too where the system does not say it."""
    entry = 8
    try:
        with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
            pagemap.seek(address // mmap.PAGESIZE * entry)
            entries = pagemap.read(size // mmap.PAGESIZE * entry)
    except OSError:
        return True
    flags = entries[entry - 1 :: entry]
    return len(flags) < size // mmap.PAGESIZE or bool(flags.translate(None, _IN_FILE))


def _populate(mapped: mmap.mmap, address: int, size: int) -> None:
    """Have the system set memory aside now, which takes it longer than to copy as much.

    Args:
        mapped: What it lies in; stays mapped meanwhile.
    """
    # Python's own function would stop all threads until it is done. Old systems refuse: no matter.
    libc = ctypes.CDLL(None)
    libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _POPULATE_WRITE)


def _offset(block: _Block) -> int:
    return block.offset


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Both pools of one end of a connection.

    Attributes:
        is_copied: Whether tensors are copied out of the other side's pool, as that may change
            what lies there.
        returns: Whether tensors of the other side's pool go back by reference. Only where no code
            writes into them.
    """

    own: OwnPool
    other: OtherPool
    is_copied: bool = False
    returns: bool = True

    def close(self) -> None:
        """Give up both."""
        self.own.close()
        self.other.close()
