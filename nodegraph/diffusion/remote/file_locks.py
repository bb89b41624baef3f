"""Locks on whole files, shared or exclusive, which end with the process that holds them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _locked(descriptor: int, *, shared: bool) -> bool:
        # It knows no shared locks: readers take turns.
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(descriptor: int, *, shared: bool) -> bool:
        # Of the descriptor, unlike those of `nodegraph.store.byte_locks`: threads exclude one
        # another, too.
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def trying_lock(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold a file's lock inside the `with`; False if somebody else has it.

    Raises:
        OSError: The file can't be made, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _locked(descriptor, shared=shared)
    finally:
        os.close(descriptor)
