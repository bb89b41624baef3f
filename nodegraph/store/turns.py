"""Taking turns at changing files, among processes and among machines that have them mounted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nodegraph.errors import OutputError
from nodegraph.store.claims import Claims

_NAME = "0123456789abcdef"
"""Of the claim; any would do, as the lock's file has but this one."""
_PATIENCE = 10.0


@contextmanager
def exclusive_lock(lock: Path, changed: str) -> Iterator[None]:
    """Inside the `with`, nobody else who takes turns by this lock does.

    Args:
        lock: A file of its own, made if it isn't there, beside what is changed: so all machines
            that have that have it, too.
        changed: What it is, for the error where that can't be.
    Raises:
        OutputError: The lock can't be made, or another process has it for too long.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        claims = Claims(lock)
    except OSError as error:
        raise OutputError(f"can't change {changed}: {error.strerror or error}") from error
    try:
        end = time.monotonic() + _PATIENCE
        while not claims.try_claim(_NAME):
            if time.monotonic() > end:
                raise OutputError(f"another process is changing {changed}", hint="Try again.")
            time.sleep(0.02)
        yield
    finally:
        claims.close()
