"""``cuda:0`` of tests that hold on a real card as they do on a pretend one."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.accelerator.pretend import PretendAccelerator

_ROUNDING = 1e-2
"""How far a real card's numbers may be from the CPU's, as a share of their standard deviation: its
kernels sum up in another order, and steps carry that on. A wrong input moves them by far more."""
_LEVELS = 3
"""How far its pixels of 0..255 may be."""


class TensorBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations inside the `with` make on a device.

    The allocator of a real card counts the workspaces of libraries as well, of which cuDNN takes
    0.4 GiB for a small convolution in float32 if there is room, and none if there isn't.

    Attributes:
        peak: The most bytes at a time.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.peak = 0
        self._device = device
        self._used = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        before = {
            self._storage(each)._cdata
            for each in tree_leaves((args, kwargs))
            if self._is_there(each)
        }
        result = func(*args, **kwargs)
        for tensor in filter(self._is_there, tree_leaves(result)):
            storage = self._storage(tensor)
            if storage._cdata not in before | self._known:
                self._take(storage)
        return result

    def _is_there(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.device == self._device

    def _storage(self, tensor: Tensor) -> torch.UntypedStorage:
        return tensor.untyped_storage()

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self._used += size
        self.peak = max(self.peak, self._used)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._used -= size


class Card:
    """``cuda:0``, real or pretend.

    Attributes:
        pretend: The accelerator that pretends to be it; None of a real one.
    """

    def __init__(self, pretend: PretendAccelerator | None) -> None:
        self.pretend = pretend
        self._before = 0
        self._before = self.used()

    def used(self) -> int:
        """Bytes of the tensors that live there, of a real one those since this was made."""
        if self.pretend is not None:
            return self.pretend.used()
        gc.collect()
        # Kept by cuBLAS for later products, from the same memory.
        torch._C._cuda_clearCublasWorkspaces()
        return max(0, torch.cuda.memory_allocated(0) - self._before)

    def peak(self) -> int:
        """The most of them since `torch.cuda.reset_peak_memory_stats`."""
        if self.pretend is not None:
            return self.pretend.peak()
        return torch.cuda.max_memory_allocated(0) - self._before

    def held_by(self, work: Callable[[], object]) -> int:
        """The most bytes that tensors take there at a time while something works."""
        if self.pretend is not None:
            before = self.pretend.used()
            torch.zeros(1, device="cuda:0")
            torch.cuda.reset_peak_memory_stats()
            work()
            return self.pretend.peak() - before
        with TensorBytes(torch.device("cuda:0")) as counted:
            work()
        return counted.peak

    def is_empty(self) -> bool:
        """Whether nothing is left there."""
        if self.used():
            gc.collect()
        return self.used() == 0

    def assert_as_on_cpu(self, found: Tensor, expected: Tensor, rounding: float = 0.0) -> None:
        """Equal to what the CPU computed: to the last bit, or nearly on a real card.

        Args:
            rounding: How far it may be off on a pretend one, too, as a share of the standard
                deviation.
        """
        share = rounding if self.pretend is not None else max(rounding, _ROUNDING)
        atol = share * float(expected.double().std(correction=0))
        torch.testing.assert_close(found.to(expected.device), expected, rtol=0, atol=atol)

    def assert_pixels_of_cpu(self, found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
        """The same for pixels."""
        assert found.shape == expected.shape
        apart = np.abs(found.astype(int) - expected.astype(int)).max()
        assert apart <= (0 if self.pretend is not None else _LEVELS)

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        """Files and lines that let the host wait meanwhile; also what a pretend one was brought."""
        places: list[str] = []
        if self.pretend is not None:
            before = len(self.pretend.log)
            yield places
            places += [item.place for item in self.pretend.log[before:]]
            return
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield places
            finally:
                torch.cuda.set_sync_debug_mode("default")
        places += [f"{item.filename}:{item.lineno}" for item in caught]


@contextmanager
def real_card() -> Iterator[Card]:
    """A real one, which computes float32 in float32 meanwhile."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield Card(None)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
        gc.collect()
