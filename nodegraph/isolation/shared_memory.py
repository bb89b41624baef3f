"""Memory that the main process and the process of a pack share, for the tensors of messages.

Each side has a pool: a file without a name that both map. It copies a tensor into a block of its
pool, and the other side's tensor is a view of that block, so one copy is made at most. A tensor
that came out of the other side's pool goes back there as a mere reference.

A block is used again once the other side's tensors are collected. For each reference, the file's
first part has a byte that the receiver sets to 0: no message and no lock, so this may happen in any
thread at any time. Fresh memory costs five times what used memory does, so blocks are kept.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import finalize

from nodegraph.store.msgpack_codec import Unstorable

LEAST = 16 << 10
"""Bytes of a tensor from which on it goes through shared memory."""
_TICKETS = 1 << 16
"""References that the other side may hold at once; one byte each at the beginning of the file."""
_CHUNK = 64 << 20
"""Bytes by which a pool grows at least. Each chunk is mapped by itself, so nothing ever moves."""
_ALIGNMENT = 4096
_MOST_KEPT = 1 << 30
"""Bytes of free blocks that a pool keeps for later messages."""
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
        self._chunks: dict[int, tuple[mmap.mmap, int]] = {}

    def chunk(self, start: int, length: int) -> mmap.mmap:
        """A part of the file.

        Raises:
            ValueError, OSError: The file has no such part.
        """
        known = self._chunks.get(start)
        if known is None:
            mapped = mmap.mmap(self.descriptor, length, offset=start)
            address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
            known = self._chunks.setdefault(start, (mapped, address))
        return known[0]

    def buffer(self, location: Location) -> Any:
        """A view of a block. What is made of it keeps it alive.

        Raises:
            ValueError: The block is not in its chunk.
        """
        start, length, offset, size = location
        if not (start <= offset and offset + size <= start + length and size > 0):
            raise ValueError("a block outside of its memory")
        mapped = self.chunk(start, length)
        return (ctypes.c_ubyte * size).from_buffer(mapped, offset - start)

    def location(self, address: int, size: int) -> Location | None:
        """Where some bytes of this process's memory lie in the file; None if they do not."""
        for start, (mapped, base) in self._chunks.copy().items():
            if base <= address and address + size <= base + len(mapped):
                return [start, len(mapped), start + address - base, size]
        return None

    def close(self) -> None:
        """Give up the file; memory goes once nothing refers to it."""
        os.close(self.descriptor)
        self._chunks.clear()


@dataclass(eq=False, slots=True)
class _Block:
    """A part of a pool.

    Attributes:
        offset: In the file.
        tickets: Of the references that the other side got.
        holds: Of this side's own views.
    """

    chunk: int
    offset: int
    size: int
    tickets: list[int] = field(default_factory=list)
    holds: dict[int, None] = field(default_factory=dict)


class OwnPool:
    """The pool that this side writes to. Safe to use from several threads."""

    def __init__(self, descriptor: int) -> None:
        self._file = _Mapped(descriptor)
        self._lengths: dict[int, int] = {}
        self._end = _TICKETS
        self._used: list[_Block] = []
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
            self._used.append(block)
            return self._reference(block, self._locate(block.chunk, block.offset, size))

    def again(self, address: int, size: int) -> tuple[list[int], Any] | None:
        """As `allocate`, for bytes that lie in a block of this pool already."""
        location = self._file.location(address, size)
        if location is None:
            return None
        with self._lock:
            block = self._block_at(location)
            if block is None or not self._free_tickets:
                return None
            return self._reference(block, location)

    def hold(self, location: Location) -> Any:
        """A view of a block of this pool that the other side refers to.

        Raises:
            ValueError: There is no such block.
        """
        with self._lock:
            block = self._block_at(location)
            if block is None or self._lengths.get(location[0]) != location[1]:
                raise ValueError("a block outside of its memory")
            number = next(self._holds)
            block.holds[number] = None
        buffer = self._file.buffer(location)
        finalize(buffer, _drop, os.getpid(), block.holds, number).atexit = False
        return buffer

    @property
    def used(self) -> int:
        """Bytes of the blocks that are in use."""
        with self._lock:
            self._reclaim()
            return sum(block.size for block in self._used)

    @property
    def capacity(self) -> int:
        """Bytes of all its chunks."""
        return sum(self._lengths.values())

    def _reference(self, block: _Block, location: Location) -> tuple[list[int], Any]:
        ticket = self._free_tickets.pop()
        self._file.tickets[ticket] = 1
        block.tickets.append(ticket)
        return [ticket, *location], self._file.buffer(location)

    def withdraw(self, reference: list[int]) -> None:
        """Take back a reference that was not sent."""
        self._file.tickets[reference[0]] = 0

    def _locate(self, chunk: int, offset: int, size: int) -> Location:
        return [chunk, self._lengths[chunk], offset, size]

    def _block_at(self, location: Location) -> _Block | None:
        _, _, offset, size = location
        for block in self._used:
            if block.offset <= offset and offset + size <= block.offset + block.size:
                return block
        return None

    def _reclaim(self) -> None:
        tickets, used = self._file.tickets, []
        for block in self._used:
            if block.tickets:
                done = [ticket for ticket in block.tickets if not tickets[ticket]]
                if done:
                    self._free_tickets += done
                    block.tickets = [ticket for ticket in block.tickets if tickets[ticket]]
            if block.tickets or block.holds:
                used.append(block)
        self._used = used

    def _find(self, size: int) -> _Block | None:
        """The first gap that is large enough: low ones are used most, and their memory is warm."""
        for chunk, length in self._lengths.items():
            at = chunk
            blocks = sorted(
                (block for block in self._used if block.chunk == chunk),
                key=lambda block: block.offset,
            )
            for block in blocks:
                if block.offset - at >= size:
                    return _Block(chunk, at, size)
                at = _aligned(block.offset + block.size)
            if chunk + length - at >= size:
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
        self._trim(start)
        return _Block(start, start, size)

    def _trim(self, kept: int) -> None:
        """Give back the memory of chunks without blocks, if it is much."""
        if not hasattr(mmap, "MADV_REMOVE"):
            return
        taken = {block.chunk for block in self._used} | {kept}
        free = [chunk for chunk in self._lengths if chunk not in taken]
        if sum(self._lengths[chunk] for chunk in free) > _MOST_KEPT:
            for chunk in free:
                self._file.chunk(chunk, self._lengths[chunk]).madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Give up the pool."""
        self._file.close()


class OtherPool:
    """The pool that the other side writes to."""

    def __init__(self, descriptor: int) -> None:
        self._file = _Mapped(descriptor)

    def take(self, reference: list[int]) -> Any:
        """A view of a block. Once nothing refers to it, the other side may use the block again.

        Raises:
            ValueError, OSError: There is no such block.
        """
        ticket, *location = reference
        if not 0 <= ticket < _TICKETS:
            raise ValueError("a block outside of its memory")
        buffer = self._file.buffer(location)
        finalize(buffer, _release, os.getpid(), self._file.tickets, ticket).atexit = False
        return buffer

    def location(self, address: int, size: int) -> Location | None:
        """Where some bytes lie in the pool; None if they do not."""
        return self._file.location(address, size)

    def close(self) -> None:
        """Give up the pool."""
        self._file.close()


def _release(process: int, tickets: mmap.mmap, ticket: int) -> None:
    # A process that a pack forked has the same views, and collects them by itself.
    if process == os.getpid():
        tickets[ticket] = 0


def _drop(process: int, holds: dict[int, None], number: int) -> None:
    if process == os.getpid():
        holds.pop(number, None)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Both pools of one end of a connection.

    Attributes:
        is_copied: Whether tensors are copied out of the other side's pool, as that may change
            what lies there.
    """

    own: OwnPool
    other: OtherPool
    is_copied: bool = False

    def close(self) -> None:
        """Give up both."""
        self.own.close()
        self.other.close()


# Tensors of messages

INLINE, _SHARED, _BACK, _DEVICE = range(4)
"""How the bytes of a tensor travel: in the frame, in the sender's pool, in the receiver's own pool
where they came from, or in the memory of an accelerator."""


class MemoryBlocks:
    """Takes the tensors and arrays of a message.

    Attributes:
        locations: How each travels, as plain values.
        blocks: Bytes of those that travel in the frame.
        kept: What must stay until the other side has taken the message.
    """

    def __init__(self, memory: SharedMemory | None) -> None:
        self._memory = memory
        self._numbers: dict[int, int] = {}
        self._sources: list[Any] = []
        self.locations: list[list[Any]] = []
        self.blocks: list[memoryview] = []
        self.kept: list[Any] = []

    def add(self, tensor: Any) -> list[Any]:
        """Take a tensor; see `msgpack_codec.TensorSink`."""
        from nodegraph.core.digests import tensor_kind

        kind = tensor_kind(tensor)
        if kind is None:
            raise Unstorable(f"a {type(tensor).__name__} that holds more than plain numbers")
        name = str(tensor.dtype).removeprefix("torch.")
        number = self._number(tensor, self._add_tensor)
        return [number, name, list(tensor.shape), str(tensor.device), kind]

    def add_array(self, array: Any) -> list[Any]:
        """Take an array; see `msgpack_codec.TensorSink`."""
        from nodegraph.core.digests import dtype_to_plain

        number = self._number(array, self._add_array)
        return [number, dtype_to_plain(array.dtype), list(array.shape)]

    def _number(self, source: Any, add: Callable[[Any], None]) -> int:
        known = self._numbers.get(id(source))
        if known is None:
            known = self._numbers[id(source)] = len(self.locations)
            self._sources.append(source)  # so that no other object has its id meanwhile
            add(source)
        return known

    def _add_tensor(self, tensor: Any) -> None:
        import torch

        from nodegraph.store.codec import tensor_bytes

        plain = tensor.detach()
        if plain.device.type == "cuda" and self._memory is not None:
            self.locations.append([_DEVICE, *cuda_to_plain(plain)])
            self.kept.append(tensor)
            return
        size = plain.numel() * plain.element_size()
        if self._memory is None or size < LEAST:
            self._inline(tensor_bytes(plain))
            return
        lies_in_rows = plain.is_contiguous() and plain.device.type == "cpu"
        if lies_in_rows and self._is_shared(plain.data_ptr(), size, tensor):
            return
        allocated = self._memory.own.allocate(size)
        if allocated is None:
            self._inline(tensor_bytes(plain))
            return
        reference, buffer = allocated
        self.locations.append([_SHARED, *reference])
        if lies_in_rows and not plain.is_conj() and not plain.is_neg():
            # One thread: those of torch would wait for each other where cores are taken.
            ctypes.memmove(buffer, plain.data_ptr(), size)
            return
        target = torch.frombuffer(buffer, dtype=plain.dtype).reshape(plain.shape)
        target.copy_(plain.resolve_conj().resolve_neg())

    def _add_array(self, array: Any) -> None:
        from nodegraph.core.digests import array_bytes

        data = array_bytes(array)
        if self._memory is None or len(data) < LEAST:
            self._inline(data)
            return
        address = array.__array_interface__["data"][0]
        if array.flags.c_contiguous and self._is_shared(address, len(data), array):
            return
        allocated = self._memory.own.allocate(len(data))
        if allocated is None:
            self._inline(data)
            return
        reference, buffer = allocated
        self.locations.append([_SHARED, *reference])
        memoryview(buffer).cast("B")[:] = data

    def _is_shared(self, address: int, size: int, source: Any) -> bool:
        """Whether bytes lie in one of the pools already, and are sent as a mere reference."""
        assert self._memory is not None
        location = self._memory.other.location(address, size)
        if location is not None:
            self.locations.append([_BACK, *location])
            self.kept.append(source)
            return True
        again = self._memory.own.again(address, size)
        if again is not None:
            self.locations.append([_SHARED, *again[0]])
        return again is not None

    def _inline(self, data: memoryview) -> None:
        self.locations.append([INLINE, len(data)])
        self.blocks.append(data)

    def withdraw(self) -> None:
        """The message is not sent."""
        for how, *reference in self.locations:
            if how == _SHARED and self._memory is not None:
                self._memory.own.withdraw(reference)


def taken(
    locations: Sequence[Sequence[Any]], inline: Sequence[bytearray], memory: SharedMemory | None
) -> tuple[Any, ...]:
    """Views of the tensors' bytes of a message, in order.

    Raises:
        ValueError, OSError: A location is none.
    """
    waiting = iter(inline)
    views: list[Any] = []
    for how, *reference in locations:
        if how == INLINE:
            views.append(next(waiting))
        elif memory is None:
            raise ValueError("shared memory where there is none")
        elif how == _SHARED:
            views.append(memory.other.take(reference))
        elif how == _BACK:
            views.append(memory.own.hold(reference))
        else:
            views.append(reference)
    return tuple(views)


class BlockSource:
    """Finds the tensors and arrays of a message."""

    def __init__(self, blocks: tuple[Any, ...], *, is_copied: bool) -> None:
        self._blocks = blocks
        self._is_copied = is_copied

    def tensor(self, reference: list[Any]) -> Any:
        """The tensor of which `MemoryBlocks.add` gave this."""
        import torch

        from nodegraph.store.codec import tensor_of_kind

        number, name, shape, device, kind = reference
        dtype = getattr(torch, name)
        block = self._blocks[number]
        if isinstance(block, list):
            return tensor_of_kind(cuda_from_plain(block), kind)
        if len(block):
            tensor = torch.frombuffer(block, dtype=dtype).reshape(shape)
        else:
            tensor = torch.empty(shape, dtype=dtype)
        if self._is_copied and not isinstance(block, bytearray):
            tensor = tensor.clone()
        return tensor_of_kind(tensor if device == "cpu" else tensor.to(device), kind)

    def array(self, reference: list[Any]) -> Any:
        """The array of which `MemoryBlocks.add_array` gave this."""
        import numpy as np

        from nodegraph.core.digests import dtype_from_plain

        number, form, shape = reference
        block = self._blocks[number]
        array = np.frombuffer(block, dtype=dtype_from_plain(form)).reshape(shape)
        return array.copy() if self._is_copied and not isinstance(block, bytearray) else array


def cuda_to_plain(tensor: Any) -> list[Any]:
    """Handles by which another process finds a tensor in a GPU's memory."""
    from torch.multiprocessing import reductions

    reduce_tensor: Any = reductions.reduce_tensor
    try:
        _, arguments = reduce_tensor(tensor)
    except RuntimeError:  # it came from the other process, and cannot be passed on as it is
        _, arguments = reduce_tensor(tensor.clone())
    _, size, stride, offset, _, dtype, *handles = arguments
    return [list(size), list(stride), offset, str(dtype).removeprefix("torch."), *handles]


def cuda_from_plain(form: Sequence[Any]) -> Any:
    """The tensor that `cuda_to_plain` gave handles of."""
    import torch
    from torch.multiprocessing import reductions

    rebuild: Any = reductions.rebuild_cuda_tensor
    size, stride, offset, dtype, *handles = form
    return rebuild(
        torch.Tensor,
        torch.Size(size),
        tuple(stride),
        offset,
        torch.UntypedStorage,
        getattr(torch, dtype),
        *handles,
    )
