"""Where shared results lie: named objects, each there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Unreachable(Exception):
    """The place can't be asked now: no network, no answer in time, no such bucket or folder."""


class NotAllowed(Unreachable):
    """The place answers, and refuses."""


class ObjectPlace(Protocol):
    """Objects by name, such as ``entries/ab/cd…``. Safe to use from several threads.

    All methods raise `Unreachable` where the place can't be asked.

    Attributes:
        url: Where it is, as the settings say.
    """

    url: str

    def read(self, name: str) -> bytes:
        """A small object; raises FileNotFoundError if there is none of that name."""

    def chunks(self, name: str, size: int, start: int = 0) -> Iterator[bytes]:
        """The first `size` bytes of a large object from `start` on, piece by piece; fewer if it has
        no more. Raises as `read`."""

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if there is none of that name."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small object, in place of the one before."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a small object unless there is one of that name; False then.

        Of several who try at once, on whatever machines, one gets True.
        """

    def upload(self, name: str, path: Path) -> None:
        """Write a file, in place of the object before."""

    def remove(self, name: str) -> None:
        """Remove an object; one that isn't there is passed over."""

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of all objects below a folder, such as ``entries``, in no order."""
