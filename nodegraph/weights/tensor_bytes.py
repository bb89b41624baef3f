"""Tensors out of the bytes of an open file, read and converted by several threads at once.

torch divides a conversion among threads of its own. They wait for each other actively, so beside
other work on the same processors they take several times as long; ours wait for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock, local
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor

_MOST_THREADS = 4
"""As one reads and converts 1 to 2 GB a second, more would wait for memory, or for the disk."""

_ALONE = 2**15 - 64
"""Numbers that torch converts without threads of its own: fewer than its grain size, 2**15."""

_PORTION = 8 * _ALONE
"""Numbers that are read and then converted: few enough to stay near the processor in between."""

_BY_FLOAT32 = {(torch.float16, torch.bfloat16)}
"""Conversions that torch makes number by number (1.4 ns each), unlike both to and from float32
(0.55 ns together). No number needs more than float32, so the bits are the same."""


class TensorReader:
    """Reads tensors from places of a file. Threads may share it.

    Args:
        file: Open for reading; where it stands, changes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._own, self._lock = file, local(), Lock()

    def read(self, start: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor as it is in the file, in memory of its own.

        Raises:
            EOFError: The file ends within it.
        """
        tensor = torch.empty(shape, dtype=dtype)
        self._fill(tensor.reshape(-1).view(torch.uint8), start)
        return tensor

    def read_as(
        self, start: int, shape: tuple[int, ...], stored: torch.dtype, dtype: torch.dtype
    ) -> Tensor:
        """A tensor of another type than in the file.

        Raises:
            EOFError: The file ends within it.
        """
        tensor, between = torch.empty(shape, dtype=dtype), self._between
        wide = between.wide if (stored, dtype) in _BY_FLOAT32 else None
        for portion in _pieces(tensor.view(-1), _PORTION):
            content = between.read[: len(portion) * stored.itemsize]
            self._fill(content, start)
            start += len(content)
            numbers = _pieces(content.view(stored), _ALONE)
            for into, out in zip(_pieces(portion, _ALONE), numbers, strict=True):
                into.copy_(out if wide is None else wide[: len(out)].copy_(out))
        return tensor

    @property
    def _between(self) -> _Buffers:
        """What this thread converts goes through one place: many would leave holes in memory."""
        if not hasattr(self._own, "between"):
            self._own.between = _Buffers(
                torch.empty(_PORTION * 8, dtype=torch.uint8), torch.empty(_ALONE)
            )
        buffer: _Buffers = self._own.between
        return buffer

    def _fill(self, content: Tensor, start: int) -> None:
        unfilled = memoryview(content.numpy())  # type: ignore[arg-type]
        while len(unfilled):
            count = self._read_at(unfilled, start)
            if not count:
                raise EOFError
            unfilled, start = unfilled[count:], start + count

    def _read_at(self, content: memoryview, start: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [content], start)
        with self._lock:
            self._file.seek(start)
            count: int = self._file.readinto(content)  # type: ignore[attr-defined]
            return count


class _Buffers(NamedTuple):
    """Where what is converted lies meanwhile: bytes as read, and a piece of them in float32."""

    read: Tensor
    wide: Tensor


def _pieces(numbers: Tensor, length: int) -> Iterator[Tensor]:
    return (numbers[at : at + length] for at in range(0, len(numbers), length))


def read_in_threads(read: Callable[[str], Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """What a function gives for each name, called by several threads.

    Raises:
        Exception: What it raised for the first name for which it did.
    """
    names = list(names)
    with ThreadPoolExecutor(min(_MOST_THREADS, torch.get_num_threads())) as threads:
        return dict(zip(names, threads.map(read, names), strict=True))
