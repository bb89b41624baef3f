"""The memory of pretend devices: what lives there, to the byte, and what has no room."""

from __future__ import annotations

import ctypes
import math
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.accelerator.relabelling import CUDA, Deleter, ManagedTensor, relabelled

_BLOCK = 512
"""Bytes that allocations are rounded up to, as torch does for CUDA."""


@dataclass(slots=True)
class Ledger:
    """One device's memory, in bytes.

    Attributes:
        used: By tensors that live.
        peak: The most of these since the last reset.
        reserved: Also what torch would keep for later ones, until its cache is emptied.
        allowed: What the process may take; whoever asks for what is free isn't told of it.
    """

    total: int
    used: int = 0
    peak: int = 0
    reserved: int = 0
    allowed: float = math.inf

    def take(self, size: int) -> None:
        """Note a new tensor; what was freed is taken again first."""
        self.used += size
        self.peak = max(self.peak, self.used)
        self.reserved = min(max(self.reserved, self.used), self.total)


class Memory:
    """That of all devices. It hears when a tensor is freed, wherever that happens.

    Attributes:
        is_initialized: Whether the process has used a device yet, as CUDA counts it.
    """

    def __init__(self, totals: list[int]) -> None:
        self.is_initialized = False
        self.ledgers = [Ledger(total) for total in totals]
        self._lock = threading.RLock()  # a tensor may be freed while its thread notes another
        self._living: dict[int, tuple[int, Ledger, int]] = {}
        self._freed = Deleter(self._on_freed)

    def adopt(self, tensor: Tensor, index: int) -> Tensor:
        """A new tensor of the host as one of a device.

        Raises:
            torch.OutOfMemoryError: The device has no room for it.
        """
        size = -(-tensor.untyped_storage().nbytes() // _BLOCK) * _BLOCK
        ledger = self.ledgers[index]
        self.is_initialized = True
        with self._lock:
            if ledger.used + size > min(ledger.total, ledger.allowed):
                raise self.no_room(index, size)
            ledger.take(size)

        def watch(address: int, managed: ManagedTensor) -> None:
            self._living[address] = managed.deleter, ledger, size
            managed.deleter = ctypes.cast(self._freed, ctypes.c_void_p).value

        return relabelled(tensor, CUDA, index, watch)

    def no_room(self, index: int, size: int) -> torch.OutOfMemoryError:
        """The error, in CUDA's words."""
        ledger = self.ledgers[index]
        return torch.OutOfMemoryError(
            f"CUDA out of memory. Tried to allocate {_written(size)}. GPU {index} has a total "
            f"capacity of {_written(ledger.total)} of which "
            f"{_written(ledger.total - ledger.used)} is free."
        )

    def _on_freed(self, address: int) -> None:
        original, ledger, size = self._living.pop(address)
        with self._lock:
            ledger.used -= size
        Deleter(original)(address)


def _written(size: int) -> str:
    """Bytes as torch writes them."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.2f} {unit}"
    return f"{size} bytes"
