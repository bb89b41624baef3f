"""How the tensors and arrays of a message travel: in its frame, in shared memory, or on a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from nodegraph.isolation.shared_memory import LEAST, SharedMemory
from nodegraph.store.msgpack_codec import Unstorable

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
        is_lazy = plain.is_conj() or plain.is_neg()
        lies_in_rows = plain.is_contiguous() and plain.device.type == "cpu" and not is_lazy
        if lies_in_rows and self._returns(plain.data_ptr(), size, tensor):
            return
        allocated = self._memory.own.allocate(size)
        if allocated is None:
            self._inline(tensor_bytes(plain))
            return
        reference, buffer = allocated
        self.locations.append([_SHARED, *reference])
        if lies_in_rows:
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
        if array.flags.c_contiguous and self._returns(address, len(data), array):
            return
        allocated = self._memory.own.allocate(len(data))
        if allocated is None:
            self._inline(data)
            return
        reference, buffer = allocated
        self.locations.append([_SHARED, *reference])
        memoryview(buffer).cast("B")[:] = data

    def _returns(self, address: int, size: int, source: Any) -> bool:
        """Whether bytes lie in the other side's pool, and go back there as a mere reference."""
        if self._memory is None or not self._memory.returns:
            return False
        location = self._memory.other.location(address, size)
        if location is not None:
            self.locations.append([_BACK, *location])
            self.kept.append(source)
        return location is not None

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
) -> list[Any]:
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
    return views


class BlockSource:
    """Finds the tensors and arrays of a message."""

    def __init__(self, blocks: Sequence[Any], *, is_copied: bool) -> None:
        self._blocks = blocks
        self._is_copied = is_copied

    def tensor(self, reference: list[Any]) -> Any:
        """The tensor of which `MemoryBlocks.add` gave this."""
        import torch

        from nodegraph.store.codec import aligned_tensor, tensor_of_kind

        number, name, shape, device, kind = reference
        dtype = getattr(torch, name)
        block = self._blocks[number]
        if isinstance(block, list):
            return tensor_of_kind(cuda_from_plain(block), kind)
        # One without items: memory that nobody wrote to would be what this process had there.
        flat = torch.frombuffer(block, dtype=dtype) if len(block) else torch.empty(0, dtype=dtype)
        tensor = aligned_tensor(flat).reshape(shape)
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
